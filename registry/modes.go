package registry

import (
	"context"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
)

// Mode says what may be done with a subject.
type Mode string

// Confluent's modes. In Import and Forward versions come with the ids and
// numbers that they have elsewhere, and are not compared with older ones.
// ReadOnlyOverride of the whole registry beats what subjects have set.
const (
	ReadWrite        Mode = "READWRITE"
	ReadOnly         Mode = "READONLY"
	ReadOnlyOverride Mode = "READONLY_OVERRIDE"
	Import           Mode = "IMPORT"
	ImportForward    Mode = "FORWARD"
)

// ParseMode reads a mode in any case. The error is a *Refused of ErrBadMode.
func ParseMode(text string) (Mode, error) {
	switch m := Mode(strings.ToUpper(text)); m {
	case ReadWrite, ReadOnly, ReadOnlyOverride, Import, ImportForward:
		return m, nil
	}
	return "", &Refused{Kind: ErrBadMode, Detail: text}
}

func (m Mode) importing() bool { return m == Import || m == ImportForward }

// Mode returns the mode that name has set for itself: a subject, or a context
// as Settings takes it. The default context always has one. The error is a
// *Refused of ErrNoMode.
func (r *Registry) Mode(name string) (Mode, error) {
	v, within := r.world.Load().at(name)
	if name == "" {
		return v.mode(nil), nil
	}
	if mode := v.own(within).Mode; mode != "" {
		return mode, nil
	}
	return "", refuse(ErrNoMode, name)
}

// ModeInForce is the mode that holds for a subject or a context.
func (r *Registry) ModeInForce(name string) Mode {
	v, within := r.world.Load().at(name)
	return v.mode(v.subjects.get(within))
}

// SetMode sets the mode of a subject, or of a context as Settings takes it.
// Import is refused with ErrNotEmpty where there are versions already, unless
// by force: ids given elsewhere might meet them. ImportForward belongs to the
// global context.
func (r *Registry) SetMode(ctx context.Context, name string, mode Mode, force bool) error {
	if mode == ImportForward && name != Qualify(GlobalContext, "") {
		return &Refused{Kind: ErrBadMode, Subject: name, Detail: "FORWARD is for the global context"}
	}
	return r.set(ctx, name, func(v *view, within string, item *settingsItem) error {
		if mode.importing() && !v.mode(v.subjects.get(within)).importing() && !force && v.occupied(within) {
			return refuse(ErrNotEmpty, name)
		}
		item.Mode = mode
		return nil
	})
}

// occupied reports whether a subject, a context ("") or for the global context
// any of them has versions that are not deleted.
func (v *view) occupied(within string) bool {
	if within != "" {
		return v.subjects.get(within).exists(false)
	}
	for context, other := range v.world.views {
		if context != v.context && v.context != GlobalContext {
			continue
		}
		for _, s := range other.subjects.all() {
			if s.exists(false) {
				return true
			}
		}
	}
	return false
}

// ClearMode removes the mode of a subject or a context and returns what it was.
// recursive removes those of a context's subjects too.
func (r *Registry) ClearMode(ctx context.Context, name string, recursive bool) (Mode, error) {
	var old Mode
	err := r.set(ctx, name, func(_ *view, _ string, item *settingsItem) error {
		if old = item.Mode; old == "" && name != "" && !recursive {
			return refuse(ErrSubjectNotFound, name)
		} else if old == "" {
			old = ReadWrite
		}
		item.Mode = ""
		return nil
	})
	context, within := Split(name)
	if err != nil || !recursive || within != "" {
		return old, err
	}
	return old, r.mutate(ctx, context, func(v *view) (w storage.Write, err error) {
		for _, s := range v.subjects.all() {
			if s.item.Mode == "" {
				continue
			}
			d, err := v.draft(s.name)
			if err != nil {
				return w, err
			}
			d.item.Mode = ""
			w.Set = append(w.Set, d.write(v.keys))
		}
		return w, nil
	})
}

func (v *view) mode(s *subject) Mode {
	if v.settings.Mode == ReadOnlyOverride || v.world.view(GlobalContext).settings.Mode == ReadOnlyOverride {
		return ReadOnlyOverride
	}
	if mode := nearest(v.chain(s), func(i *settingsItem) Mode { return i.Mode }); mode != "" {
		return mode
	}
	return ReadWrite
}

// writable refuses what a read-only mode forbids.
func (v *view) writable(s *subject, name string) error {
	if mode := v.mode(s); mode == ReadOnly || mode == ReadOnlyOverride {
		return refuse(ErrReadOnly, name)
	}
	return nil
}
