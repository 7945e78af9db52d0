package registry

import (
	"context"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
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

// ParseLevel reads a level in any case. The error is a *Refused of ErrBadLevel.
func ParseLevel(text string) (Level, error) {
	switch l := Level(strings.ToUpper(text)); l {
	case None, Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive:
		return l, nil
	}
	return "", &Refused{Kind: ErrBadLevel, Detail: text}
}

// Mode says what may be done with a subject.
type Mode string

// The modes there are. Confluent's IMPORT and FORWARD are not among them yet.
const (
	ReadWrite Mode = "READWRITE"
	ReadOnly  Mode = "READONLY"
)

// ParseMode reads a mode in any case. The error is a *Refused of ErrBadMode.
func ParseMode(text string) (Mode, error) {
	switch m := Mode(strings.ToUpper(text)); m {
	case ReadWrite, ReadOnly:
		return m, nil
	}
	return "", &Refused{Kind: ErrBadMode, Detail: text}
}

// Settings are what a subject, or the whole registry, has set for itself.
type Settings struct {
	Level     Level // "" if it has none
	Normalize *bool // nil if it has none
}

// Settings returns what subject has set for itself; "" is the registry as a
// whole, whose level is never empty. The error is a *Refused of ErrNoLevel.
func (r *Registry) Settings(subject string) (Settings, error) {
	v := r.view.Load()
	if subject == "" {
		return Settings{Level: v.level(nil), Normalize: v.settings.Normalize}, nil
	}
	if s := v.subjects[subject]; s != nil && (s.item.Level != "" || s.item.Normalize != nil) {
		return Settings{Level: s.item.Level, Normalize: s.item.Normalize}, nil
	}
	return Settings{}, refuse(ErrNoLevel, subject)
}

// SetSettings changes what set holds and leaves the rest.
func (r *Registry) SetSettings(ctx context.Context, subject string, set Settings) error {
	return r.change(ctx, subject, func(s *settingsItem) error {
		if set.Level != "" {
			s.Level = set.Level
		}
		if set.Normalize != nil {
			s.Normalize = set.Normalize
		}
		return nil
	})
}

// ClearSettings removes what subject has set and returns it. For a subject
// without settings that is a *Refused of ErrSubjectNotFound, as in Confluent's
// registry.
func (r *Registry) ClearSettings(ctx context.Context, subject string) (Settings, error) {
	var old Settings
	err := r.change(ctx, subject, func(s *settingsItem) error {
		if subject != "" && s.Level == "" && s.Normalize == nil {
			return refuse(ErrSubjectNotFound, subject)
		}
		if old = (Settings{Level: s.Level, Normalize: s.Normalize}); old.Level == "" && subject == "" {
			old.Level = Backward
		}
		s.Level, s.Normalize = "", nil
		return nil
	})
	return old, err
}

// Level is the compatibility level in force for subject.
func (r *Registry) Level(subject string) Level {
	v := r.view.Load()
	return v.level(v.subjects[subject])
}

// Mode returns the mode that subject has set for itself; "" is the registry as
// a whole, which always has one. The error is a *Refused of ErrNoMode.
func (r *Registry) Mode(subject string) (Mode, error) {
	v := r.view.Load()
	if subject == "" {
		return v.mode(nil), nil
	}
	if s := v.subjects[subject]; s != nil && s.item.Mode != "" {
		return s.item.Mode, nil
	}
	return "", refuse(ErrNoMode, subject)
}

// ModeInForce is the mode that holds for subject.
func (r *Registry) ModeInForce(subject string) Mode {
	v := r.view.Load()
	return v.mode(v.subjects[subject])
}

// SetMode sets the mode of subject, "" the registry's.
func (r *Registry) SetMode(ctx context.Context, subject string, mode Mode) error {
	return r.set(ctx, subject, func(_ *view, s *settingsItem) error {
		s.Mode = mode
		return nil
	})
}

// ClearMode removes the mode of subject, or sets the registry's back, and
// returns what it was.
func (r *Registry) ClearMode(ctx context.Context, subject string) (Mode, error) {
	var old Mode
	err := r.set(ctx, subject, func(_ *view, s *settingsItem) error {
		if old = s.Mode; old == "" && subject != "" {
			return refuse(ErrSubjectNotFound, subject)
		} else if old == "" {
			old = ReadWrite
		}
		s.Mode = ""
		return nil
	})
	return old, err
}

func (v *view) level(s *subject) Level {
	switch {
	case s != nil && s.item.Level != "":
		return s.item.Level
	case v.settings.Level != "":
		return v.settings.Level
	}
	return Backward
}

func (v *view) mode(s *subject) Mode {
	switch {
	case s != nil && s.item.Mode != "":
		return s.item.Mode
	case v.settings.Mode != "":
		return v.settings.Mode
	}
	return ReadWrite
}

func (v *view) normalize(s *subject) bool {
	switch {
	case s != nil && s.item.Normalize != nil:
		return *s.item.Normalize
	case v.settings.Normalize != nil:
		return *v.settings.Normalize
	}
	return false
}

// writable refuses what a read-only mode forbids.
func (v *view) writable(s *subject, name string) error {
	if v.mode(s) == ReadOnly {
		return refuse(ErrReadOnly, name)
	}
	return nil
}

// change is set for what a read-only mode forbids.
func (r *Registry) change(ctx context.Context, name string, edit func(*settingsItem) error) error {
	return r.set(ctx, name, func(v *view, item *settingsItem) error {
		if err := v.writable(v.subjects[name], name); err != nil {
			return err
		}
		return edit(item)
	})
}

// set commits new settings of a subject, or of the registry.
func (r *Registry) set(ctx context.Context, name string, edit func(*view, *settingsItem) error) error {
	if name != "" {
		if err := checkSubject(name); err != nil {
			return err
		}
	}
	return r.mutate(ctx, func(v *view) (storage.Write, error) {
		if name == "" {
			item := v.settings
			if err := edit(v, &item); err != nil || item == v.settings {
				return storage.Write{}, err
			}
			return storage.Write{Set: []storage.Item{set(settingsKey, v.settingsVersion, item)}}, nil
		}
		s, err := v.draft(name)
		if err != nil {
			return storage.Write{}, err
		}
		if err := edit(v, &s.item.settingsItem); err != nil {
			return storage.Write{}, err
		}
		return storage.Write{Set: []storage.Item{s.write()}}, nil
	})
}

// draft is a copy of a subject whose item may be changed and written; a new one
// if there is none.
func (v *view) draft(name string) (*subject, error) {
	s := v.subjects[name]
	if s == nil {
		if len(v.subjects) >= MaxSubjects {
			return nil, &Refused{Kind: ErrTooMany, Subject: name, Detail: "there are as many subjects as the registry holds"}
		}
		return &subject{name: name}, nil
	}
	d := *s
	d.item.Versions = append([]versionItem(nil), s.item.Versions...)
	return &d, nil
}

// write is the subject's item; one that says nothing any more is deleted.
func (s *subject) write() storage.Item {
	if len(s.item.Versions) == 0 && s.item.settingsItem.empty() {
		return storage.Item{Key: subjectKey(s.name), Version: s.itemVersion, Delete: true}
	}
	return set(subjectKey(s.name), s.itemVersion, s.item)
}
