package rest

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/tarn-io/tarn/registry"
)

// configAnswer is Confluent's Config.
type configAnswer struct {
	Level     registry.Level `json:"compatibilityLevel,omitempty"`
	Normalize *bool          `json:"normalize,omitempty"`
}

// configBody is Confluent's ConfigUpdateRequest, as far as we keep it; PUT
// answers with it.
type configBody struct {
	Compatibility string `json:"compatibility,omitempty"`
	Normalize     *bool  `json:"normalize,omitempty"`
}

// unkept are the settings that this registry does not have. To ignore them
// would be to promise what is not done, so only values that ask for nothing are
// let through.
func unkept() []string {
	return []string{
		"alias", "aliasForDeks", "validateFields", "validateRules", "compatibilityPolicy", "compatibilityGroup",
		"defaultMetadata", "overrideMetadata", "defaultRuleSet", "overrideRuleSet",
	}
}

func (a *api) getConfig(req *http.Request) (any, error) {
	name := subject(req)
	s, err := a.reg.Settings(name)
	if err != nil && isSet(req, "defaultToGlobal") {
		return configAnswer{Level: a.reg.Level(name)}, nil
	}
	return configAnswer{s.Level, s.Normalize}, err
}

func (a *api) putConfig(req *http.Request) (any, error) {
	var fields map[string]json.RawMessage
	if err := decode(req, &fields); err != nil {
		return nil, err
	}
	for _, name := range unkept() {
		asksNothing := []string{"", "null", "false", `""`, `"STRICT"`}
		if !slices.Contains(asksNothing, string(fields[name])) {
			return nil, notPermitted("The setting %s is not supported by this registry", name)
		}
	}
	var body configBody
	for name, into := range map[string]any{"compatibility": &body.Compatibility, "normalize": &body.Normalize} {
		if raw, ok := fields[name]; ok && json.Unmarshal(raw, into) != nil {
			return nil, badRequest("field %q cannot be %s", name, raw[:min(len(raw), 20)])
		}
	}
	set := registry.Settings{Normalize: body.Normalize}
	if body.Compatibility != "" {
		level, err := registry.ParseLevel(body.Compatibility)
		if err != nil {
			return nil, err
		}
		set.Level = level
	}
	if err := a.reg.SetSettings(req.Context(), subject(req), set); err != nil {
		return nil, err
	}
	return body, nil
}

// deleteConfig answers with what was set.
func (a *api) deleteConfig(req *http.Request) (any, error) {
	old, err := a.reg.ClearSettings(req.Context(), subject(req))
	if err != nil {
		return nil, err
	}
	return configAnswer{old.Level, old.Normalize}, nil
}
