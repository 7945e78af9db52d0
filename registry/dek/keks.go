package dek

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
)

// KEK finds a key by name; a deleted one if asked for. The refusal is
// ErrNotFound.
func (s *Store) KEK(name string, deleted bool) (KEK, error) {
	k := s.state.Load().keks[name]
	if k == nil || k.Deleted && !deleted {
		return KEK{}, &Refused{ErrNotFound, name}
	}
	return k.KEK, nil
}

// KEKs lists the names of keys, in order. With prefixes it is those that have a
// DEK of a subject with one of them.
func (s *Store) KEKs(subjectPrefixes []string, deleted bool) []string {
	st := s.state.Load()
	names := map[string]bool{}
	if len(subjectPrefixes) == 0 {
		for name, k := range st.keks {
			names[name] = deleted || !k.Deleted
		}
	}
	for id, d := range st.deks {
		if deleted || !d.Deleted {
			names[id.kek] = names[id.kek] || slices.ContainsFunc(subjectPrefixes, func(p string) bool { return strings.HasPrefix(id.subject, p) })
		}
	}
	maps.DeleteFunc(names, func(_ string, shown bool) bool { return !shown })
	return slices.Sorted(maps.Keys(names))
}

// CreateKEK stores a new key. One that is the same as a deleted key undeletes
// it. With test a shared one must make and open a DEK first. Refusals:
// ErrInvalid, ErrExists, ErrTooMany, ErrGeneration.
func (s *Store) CreateKEK(ctx context.Context, k KEK, test bool) (KEK, error) {
	if err := CheckName(k.Name); err != nil {
		return KEK{}, err
	}
	k.KMSType = normalType(k.KMSType)
	if k.KMSProps == nil {
		k.KMSProps = map[string]string{}
	}
	if err := k.check(); err != nil {
		return KEK{}, err
	}
	if test && k.Shared {
		if err := s.TestKEK(k); err != nil {
			return KEK{}, err
		}
	}
	err := s.mutate(ctx, func(st *state) (storage.Write, error) {
		old := st.keks[k.Name]
		switch {
		case old == nil && len(st.keks) >= MaxKeys:
			return storage.Write{}, &Refused{ErrTooMany, k.Name}
		case old != nil && (k.Deleted == old.Deleted || !old.same(k)):
			return storage.Write{}, &Refused{ErrExists, k.Name}
		}
		return s.writeKEK(&k, old)
	})
	return k, err
}

func (k KEK) check() error {
	size := len(k.KMSKeyID) + len(k.KMSType)
	if k.Doc != nil {
		size += len(*k.Doc)
	}
	for name, value := range k.KMSProps {
		size += len(name) + len(value)
	}
	switch {
	case k.KMSKeyID == "":
		return &Refused{ErrInvalid, "kmsKeyId"}
	case k.KMSType == "":
		return &Refused{ErrInvalid, "kmsType"}
	case size > MaxFieldBytes:
		return &Refused{ErrInvalid, "kmsProps"}
	}
	return checkKeyID(k.KMSType, k.KMSKeyID)
}

// same compares what a client gives.
func (k KEK) same(other KEK) bool {
	doc := k.Doc == other.Doc || k.Doc != nil && other.Doc != nil && *k.Doc == *other.Doc
	return doc && k.KMSType == other.KMSType && k.KMSKeyID == other.KMSKeyID && k.Shared == other.Shared && maps.Equal(k.KMSProps, other.KMSProps)
}

// writeKEK is the change that stores k, old being what is there; it sets the
// timestamp.
func (s *Store) writeKEK(k *KEK, old *kek) (storage.Write, error) {
	var version int64
	if old != nil {
		version = old.itemVersion
	}
	k.UpdatedMs = s.now().UnixMilli()
	it, err := item((&kek{KEK: *k}).key(), version, k)
	return storage.Write{Set: []storage.Item{it}}, err
}

// TestKEK makes a DEK and opens it, and keeps nothing. Refusals: ErrInvalid for
// a key that is not shared, ErrGeneration.
func (s *Store) TestKEK(k KEK) error {
	if !k.Shared {
		return &Refused{ErrInvalid, "shared"}
	}
	encrypted, err := s.encrypt(k, generate(AES256GCM))
	if err == nil {
		_, err = s.decrypt(k, encrypted)
	}
	if err != nil {
		return &Refused{ErrGeneration, "Could not generate encrypted dek for __TEST: " + err.Error()}
	}
	return nil
}

// UpdateKEK changes what edit changes: properties, doc and whether the key is
// shared. With test a shared one must work first. Refusals: ErrNotFound,
// ErrInvalid, ErrGeneration.
func (s *Store) UpdateKEK(ctx context.Context, name string, edit func(*KEK), test bool) (KEK, error) {
	var out KEK
	err := s.mutate(ctx, func(st *state) (storage.Write, error) {
		old := st.keks[name]
		if old == nil || old.Deleted {
			return storage.Write{}, &Refused{ErrNotFound, name}
		}
		out = old.KEK
		if edit(&out); out.KMSProps == nil {
			out.KMSProps = map[string]string{}
		}
		if err := out.check(); err != nil {
			return storage.Write{}, err
		}
		if test && out.Shared {
			if err := s.TestKEK(out); err != nil {
				return storage.Write{}, err
			}
		}
		if old.same(out) {
			return storage.Write{}, nil
		}
		return s.writeKEK(&out, old)
	})
	return out, err
}

// DeleteKEK deletes a key, permanently after it was deleted softly. One that
// DEKs refer to stays: softly deleted ones count against permanent deletion.
// Refusals: ErrNotFound, ErrReferenced, ErrNotDeleted.
func (s *Store) DeleteKEK(ctx context.Context, name string, permanent bool) error {
	return s.mutate(ctx, func(st *state) (storage.Write, error) {
		old := st.keks[name]
		if old == nil {
			return storage.Write{}, &Refused{ErrNotFound, name}
		}
		for id, d := range st.deks {
			if id.kek == name && (permanent || !d.Deleted) {
				return storage.Write{}, &Refused{ErrReferenced, name}
			}
		}
		if permanent && !old.Deleted {
			return storage.Write{}, &Refused{ErrNotDeleted, name}
		}
		if permanent {
			return storage.Write{Set: []storage.Item{{Key: old.key(), Version: old.itemVersion, Delete: true}}}, nil
		}
		return s.mark(old, true)
	})
}

// UndeleteKEK takes a soft deletion back. The refusal is ErrNotFound.
func (s *Store) UndeleteKEK(ctx context.Context, name string) error {
	return s.mutate(ctx, func(st *state) (storage.Write, error) {
		old := st.keks[name]
		if old == nil {
			return storage.Write{}, &Refused{ErrNotFound, name}
		}
		return s.mark(old, false)
	})
}

// mark is the change that deletes k softly, or undeletes it.
func (s *Store) mark(k *kek, deleted bool) (storage.Write, error) {
	if k.Deleted == deleted {
		return storage.Write{}, nil
	}
	n := k.KEK
	n.Deleted = deleted
	return s.writeKEK(&n, k)
}
