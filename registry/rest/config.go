package rest

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tarn-io/tarn/registry"
)

// configBody is Confluent's ConfigUpdateRequest, with which PUT answers: the
// level has another name than in the answer to GET.
type configBody struct {
	Compatibility string `json:"compatibility,omitempty"`
	registry.Settings
}

// configAnswer is what is set. Clients of Confluent's refuse answers with a level
// that they do not know; of ours they see what it asks of readers, which is
// nothing, and it stands beside.
type configAnswer struct {
	registry.Settings
	// TarnLevel is the level, if it is one of ours.
	TarnLevel registry.Level `json:"tarnCompatibilityLevel,omitempty"`
}

func shown(s registry.Settings) configAnswer {
	if s.Level != registry.Table {
		return configAnswer{Settings: s}
	}
	s.Level = registry.None
	return configAnswer{s, registry.Table}
}

func (a *api) getConfig(req *http.Request) (any, error) {
	name := subject(req)
	if isSet(req, "defaultToGlobal") {
		return shown(a.reg.SettingsInForce(name)), nil
	}
	s, err := a.reg.Settings(name)
	if err != nil {
		return nil, err
	}
	return shown(s), nil
}

// putConfig changes the settings that the body names; null takes one back.
func (a *api) putConfig(req *http.Request) (any, error) {
	var fields map[string]json.RawMessage
	if err := decode(req, &fields); err != nil {
		return nil, err
	}
	var body configBody
	if err := patch(&body, fields); err != nil {
		return nil, err
	}
	set := map[string]json.RawMessage{}
	for name, raw := range fields {
		if name != "compatibilityLevel" {
			set[name] = raw
		}
	}
	if raw, ok := set["compatibility"]; ok {
		set["compatibilityLevel"] = raw
		if body.Compatibility != "" {
			level, err := registry.ParseLevel(body.Compatibility)
			if err != nil {
				return nil, err
			}
			set["compatibilityLevel"], _ = json.Marshal(level) // a string
		}
	}
	if body.Policy != "" {
		policy, err := registry.ParsePolicy(string(body.Policy))
		if err != nil {
			return nil, err
		}
		set["compatibilityPolicy"], _ = json.Marshal(policy) // a string
	}
	err := a.reg.SetSettings(req.Context(), subject(req), func(s *registry.Settings) error { return patch(s, set) })
	if err != nil {
		return nil, err
	}
	body.Level = ""
	return body, nil
}

// patch sets the fields of a struct that are named, and clears those that are
// null. Names it does not have are ignored, as Confluent's registry does.
func patch(into any, fields map[string]json.RawMessage) error {
	text, err := json.Marshal(into)
	if err != nil {
		return err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for name, raw := range fields {
		if string(raw) == "null" {
			delete(all, name)
		} else {
			all[name] = raw
		}
	}
	if text, err = json.Marshal(all); err != nil {
		return err
	}
	switch to := into.(type) {
	case *registry.Settings:
		*to = registry.Settings{}
	case *configBody:
		*to = configBody{}
	}
	err = json.Unmarshal(text, into)
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		raw := fields[bad.Field]
		if raw == nil {
			raw = []byte("a JSON " + bad.Value)
		}
		return badRequest("field %q cannot be %s", bad.Field, raw[:min(len(raw), 20)])
	}
	return err
}

// deleteConfig answers with what was set.
func (a *api) deleteConfig(req *http.Request) (any, error) {
	old, err := a.reg.ClearSettings(req.Context(), subject(req))
	if err != nil {
		return nil, err
	}
	return shown(old), nil
}
