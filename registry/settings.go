package registry

import (
	"cmp"
	"context"
	"reflect"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
)

// Level says which older versions a new one is compared with, and in which
// direction.
type Level string

// Confluent's levels. Backward is the default: the new version reads what the
// last one wrote.
const (
	None               Level = "NONE"
	Backward           Level = "BACKWARD"
	BackwardTransitive Level = "BACKWARD_TRANSITIVE"
	Forward            Level = "FORWARD"
	ForwardTransitive  Level = "FORWARD_TRANSITIVE"
	Full               Level = "FULL"
	FullTransitive     Level = "FULL_TRANSITIVE"
)

// Table is a level of our own: it asks only whether the tables of the subject's
// topic can take the new version, which has to fit all that came before.
const Table Level = "TABLE"

// ParseLevel reads a level in any case. The error is a *Refused of ErrBadLevel.
func ParseLevel(text string) (Level, error) {
	switch l := Level(strings.ToUpper(text)); l {
	case None, Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive, Table:
		return l, nil
	}
	return "", &Refused{Kind: ErrBadLevel, Detail: text}
}

// Policy says how strict a comparison is.
type Policy string

// The policies there are. Lenient lets a JSON Schema open and close its content
// model. Logical asks in addition what the level Table asks.
const (
	Strict  Policy = "STRICT"
	Lenient Policy = "LENIENT"
	Logical Policy = "LOGICAL"
)

// ParsePolicy reads a policy in any case. The error is a *Refused of
// ErrBadPolicy.
func ParsePolicy(text string) (Policy, error) {
	switch p := Policy(strings.ToUpper(text)); p {
	case Strict, Lenient, Logical:
		return p, nil
	}
	return "", &Refused{Kind: ErrBadPolicy, Detail: text}
}

// Settings are what a subject, a context, or the registry as a whole has set
// for itself, in the registry's JSON. What is zero is not set.
type Settings struct {
	Level     Level `json:"compatibilityLevel,omitempty"`
	Normalize *bool `json:"normalize,omitempty"`
	// Alias is the subject that requests for this one mean.
	Alias        string `json:"alias,omitempty"`
	AliasForDeks string `json:"aliasForDeks,omitempty"` // the same for keys
	// Policy and Group steer comparison: Group names a property of metadata,
	// and only versions with the same value of it are compared.
	Policy Policy `json:"compatibilityPolicy,omitempty"`
	Group  string `json:"compatibilityGroup,omitempty"`
	// ValidateFields keeps reserved names from being used, see fields.go.
	ValidateFields *bool `json:"validateFields,omitempty"`
	// ValidateRules false lets rule sets pass unchecked; ValidateNewSchemas
	// false takes new schemas as leniently as stored ones.
	ValidateRules      *bool `json:"validateRules,omitempty"`
	ValidateNewSchemas *bool `json:"validateNewSchemas,omitempty"`
	// Defaults and overrides are merged into what is registered.
	DefaultMetadata  *schema.Metadata `json:"defaultMetadata,omitempty"`
	OverrideMetadata *schema.Metadata `json:"overrideMetadata,omitempty"`
	DefaultRules     *schema.RuleSet  `json:"defaultRuleSet,omitempty"`
	OverrideRules    *schema.RuleSet  `json:"overrideRuleSet,omitempty"`
}

func (s Settings) empty() bool { return reflect.ValueOf(s).IsZero() }

// Settings returns what name has set for itself: a subject, or a context as a
// whole by ":.context:", the default one by "". That one's level is never
// empty. The error is a *Refused of ErrNoLevel.
func (r *Registry) Settings(name string) (Settings, error) {
	v, within := r.world.Load().at(name)
	item := v.own(within)
	if name == "" && item.Level == "" {
		item.Level = v.level(nil)
	}
	if item.Settings.empty() {
		return Settings{}, refuse(ErrNoLevel, name)
	}
	return item.Settings, nil
}

// SettingsInForce returns what holds for name, each setting from where it is
// set nearest: the subject, its context, the global context.
func (r *Registry) SettingsInForce(name string) Settings {
	v, within := r.world.Load().at(name)
	return v.settingsOf(v.subjects.get(within))
}

// SetSettings changes settings by edit, which may be called more than once. Rule
// sets among them are checked like those of versions: they become part of these.
// Refusals: *Refused, and what edit refuses.
func (r *Registry) SetSettings(ctx context.Context, name string, edit func(*Settings) error) error {
	checks := r.SettingsInForce(name).ValidateRules
	return r.change(ctx, name, func(s *settingsItem) error {
		before := s.Settings
		if err := edit(&s.Settings); err != nil {
			return err
		}
		if on := cmp.Or(s.ValidateRules, checks); on != nil && !*on {
			return nil
		}
		for _, pair := range [][2]*schema.RuleSet{{before.DefaultRules, s.DefaultRules}, {before.OverrideRules, s.OverrideRules}} {
			if reflect.DeepEqual(pair[0], pair[1]) {
				continue // it was taken once
			}
			if err := checkRules(pair[1]); err != nil {
				return err
			}
		}
		return nil
	})
}

// ClearSettings removes what name has set and returns it. For a subject without
// settings that is a *Refused of ErrSubjectNotFound, as in Confluent's registry.
func (r *Registry) ClearSettings(ctx context.Context, name string) (Settings, error) {
	var old Settings
	err := r.change(ctx, name, func(s *settingsItem) error {
		if name != "" && s.Settings.empty() {
			return refuse(ErrSubjectNotFound, name)
		}
		if old = s.Settings; old.Level == "" && name == "" {
			old.Level = Backward
		}
		s.Settings = Settings{}
		return nil
	})
	return old, err
}

// Level is the compatibility level in force for a subject.
func (r *Registry) Level(name string) Level {
	v, within := r.world.Load().at(name)
	return v.level(v.subjects.get(within))
}

// Alias is the subject that requests for name mean: name itself, unless it has
// an alias set.
func (r *Registry) Alias(name string) string {
	v, within := r.world.Load().at(name)
	if s := v.subjects.get(within); s != nil && s.item.Alias != "" {
		return s.item.Alias
	}
	return name
}

// AliasForDEKs is the subject whose keys requests for name mean: that of
// aliasForDeks if it is set, else that of the alias.
func (r *Registry) AliasForDEKs(name string) string {
	v, within := r.world.Load().at(name)
	if s := v.subjects.get(within); s != nil && s.item.AliasForDeks != "" {
		return s.item.AliasForDeks
	}
	return r.Alias(name)
}

// own is what a subject, or with "" the context itself, has set.
func (v *view) own(within string) settingsItem {
	if within == "" {
		return v.settings
	}
	if s := v.subjects.get(within); s != nil {
		return s.item.settingsItem
	}
	return settingsItem{}
}

// chain lists where settings of s are looked for, nearest first. s may be nil.
func (v *view) chain(s *subject) []*settingsItem {
	list := make([]*settingsItem, 0, 3)
	if s != nil {
		list = append(list, &s.item.settingsItem)
	}
	return append(list, &v.settings, &v.world.view(GlobalContext).settings)
}

// nearest gives the first value that is set; the zero value if none is.
func nearest[T any](chain []*settingsItem, get func(*settingsItem) T) (found T) {
	for _, item := range chain {
		if value := get(item); !reflect.ValueOf(&value).Elem().IsZero() {
			return value
		}
	}
	return found
}

// settingsOf is what holds for s, which may be nil.
func (v *view) settingsOf(s *subject) Settings {
	chain := v.chain(s)
	out := Settings{
		Level:              v.level(s),
		Normalize:          nearest(chain, func(i *settingsItem) *bool { return i.Normalize }),
		AliasForDeks:       nearest(chain, func(i *settingsItem) string { return i.AliasForDeks }),
		Policy:             nearest(chain, func(i *settingsItem) Policy { return i.Policy }),
		Group:              nearest(chain, func(i *settingsItem) string { return i.Group }),
		ValidateFields:     nearest(chain, func(i *settingsItem) *bool { return i.ValidateFields }),
		ValidateRules:      nearest(chain, func(i *settingsItem) *bool { return i.ValidateRules }),
		ValidateNewSchemas: nearest(chain, func(i *settingsItem) *bool { return i.ValidateNewSchemas }),
		DefaultMetadata:    nearest(chain, func(i *settingsItem) *schema.Metadata { return i.DefaultMetadata }),
		OverrideMetadata:   nearest(chain, func(i *settingsItem) *schema.Metadata { return i.OverrideMetadata }),
		DefaultRules:       nearest(chain, func(i *settingsItem) *schema.RuleSet { return i.DefaultRules }),
		OverrideRules:      nearest(chain, func(i *settingsItem) *schema.RuleSet { return i.OverrideRules }),
	}
	if s != nil {
		out.Alias = s.item.Alias
	}
	return out
}

func (v *view) level(s *subject) Level {
	if level := nearest(v.chain(s), func(i *settingsItem) Level { return i.Level }); level != "" {
		return level
	}
	return Backward
}

// change is set for what a read-only mode forbids.
func (r *Registry) change(ctx context.Context, name string, edit func(*settingsItem) error) error {
	return r.set(ctx, name, func(v *view, within string, item *settingsItem) error {
		if err := v.writable(v.subjects.get(within), name); err != nil {
			return err
		}
		return edit(item)
	})
}

// set commits new settings of a subject, or of a context as a whole.
func (r *Registry) set(ctx context.Context, name string, edit func(v *view, within string, item *settingsItem) error) error {
	context, within := Split(name)
	err := checkContext(context)
	if within != "" {
		context, within, err = checkSubject(name)
	}
	if err != nil {
		return err
	}
	return r.mutate(ctx, context, func(v *view) (storage.Write, error) {
		if within == "" {
			if err := v.makeable(name); err != nil {
				return storage.Write{}, err
			}
			item := v.settings
			if err := edit(v, within, &item); err != nil || reflect.DeepEqual(item, v.settings) {
				return storage.Write{}, err
			}
			return storage.Write{Set: []storage.Item{set(v.keys.settings(), v.settingsVersion, item)}}, nil
		}
		s, err := v.draft(within)
		if err != nil {
			return storage.Write{}, err
		}
		if err := edit(v, within, &s.item.settingsItem); err != nil {
			return storage.Write{}, err
		}
		it := s.write(v.keys)
		if len(it.Value) > storage.MaxValueBytes {
			return storage.Write{}, &Refused{Kind: ErrTooLarge, Subject: name, Detail: "with its settings"}
		}
		return storage.Write{Set: []storage.Item{it}}, nil
	})
}

// draft is a copy of a subject whose item may be changed and written; a new one
// if there is none.
func (v *view) draft(name string) (*subject, error) {
	s := v.subjects.get(name)
	if s == nil {
		if v.subjects.len() >= MaxSubjects {
			return nil, &Refused{Kind: ErrTooMany, Subject: name, Detail: "there are as many subjects as the registry holds"}
		}
		if err := v.makeable(name); err != nil {
			return nil, err
		}
		return &subject{name: name, context: v.context}, nil
	}
	d := *s
	d.item.Versions = append([]versionItem(nil), s.item.Versions...)
	return &d, nil
}

// makeable refuses to make a context beyond MaxContexts. Those that are deleted
// count: their next ids are kept.
func (v *view) makeable(name string) error {
	if _, known := v.world.views[v.context]; !known && len(v.world.views) >= MaxContexts {
		return &Refused{Kind: ErrTooMany, Subject: name, Detail: "there are as many contexts as the registry holds"}
	}
	return nil
}

// write is the subject's item; one that says nothing any more is deleted.
func (s *subject) write(k keys) storage.Item {
	if len(s.item.Versions) == 0 && s.item.settingsItem.empty() {
		return storage.Item{Key: k.subject(s.name), Version: s.itemVersion, Delete: true}
	}
	return set(k.subject(s.name), s.itemVersion, s.item)
}
