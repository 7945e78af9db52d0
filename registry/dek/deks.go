package dek

import (
	"cmp"
	"context"
	"encoding/base64"
	"maps"
	"math"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

// Subjects lists the subjects that have DEKs of a KEK, in order. The refusal is
// ErrNotFound.
func (s *Store) Subjects(kek string, deleted bool) ([]string, error) {
	st := s.state.Load()
	if k := st.keks[kek]; k == nil || k.Deleted && !deleted {
		return nil, &Refused{ErrNotFound, kek}
	}
	names := map[string]bool{}
	for id, d := range st.deks {
		if id.kek == kek && (deleted || !d.Deleted) {
			names[id.subject] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// Versions lists the versions of a subject's DEKs, ascending. The refusal is
// ErrNotFound, for the KEK.
func (s *Store) Versions(kek, subject string, a Algorithm, deleted bool) ([]int, error) {
	st := s.state.Load()
	if k := st.keks[kek]; k == nil || k.Deleted && !deleted {
		return nil, &Refused{ErrNotFound, kek}
	}
	var list []int
	for _, d := range st.find(kek, subject, a, deleted) {
		list = append(list, d.Version)
	}
	return list, nil
}

// find lists the DEKs of a subject by version.
func (st *state) find(kek, subject string, a Algorithm, deleted bool) []*key {
	var list []*key
	for id, d := range st.deks {
		if id.kek == kek && id.subject == subject && id.algorithm == a && (deleted || !d.Deleted) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(x, y *key) int { return cmp.Compare(x.Version, y.Version) })
	return list
}

// one finds a DEK by version, Latest the highest; nil if there is none.
func (st *state) one(kek, subject string, version int, a Algorithm, deleted bool) *key {
	if version == Latest {
		if list := st.find(kek, subject, a, deleted); len(list) > 0 {
			return list[len(list)-1]
		}
		return nil
	}
	if d := st.deks[dekID{kek, subject, a, version}]; d != nil && (deleted || !d.Deleted) {
		return d
	}
	return nil
}

// DEK gives a key, opened if its KEK is shared. Refusals: ErrNotFound,
// ErrGeneration.
func (s *Store) DEK(kek, subject string, version int, a Algorithm, deleted bool) (DEK, error) {
	st := s.state.Load()
	k := st.keks[kek]
	if k == nil || k.Deleted && !deleted {
		return DEK{}, &Refused{ErrNotFound, kek}
	}
	d := st.one(kek, subject, version, a, deleted)
	if d == nil {
		return DEK{}, &Refused{ErrNotFound, subject}
	}
	return s.opened(k.KEK, d.DEK)
}

// opened adds the raw key of a shared KEK.
func (s *Store) opened(k KEK, d DEK) (DEK, error) {
	if !k.Shared {
		return d, nil
	}
	raw, err := s.decrypt(k, d.Encrypted)
	if err != nil {
		return DEK{}, &Refused{ErrGeneration, "Could not generate raw dek for " + d.Subject + ": " + err.Error()}
	}
	d.Raw = base64.StdEncoding.EncodeToString(raw)
	return d, nil
}

// CreateDEK stores a new key. Encrypted comes with it, or is made with a shared
// KEK. One that is the same as a deleted key undeletes it; with rewrap a key
// that is there is encrypted anew with what the KEK is now. A zero version is 1.
// Refusals: ErrInvalid, ErrNotFound of the KEK, ErrExists, ErrTooMany,
// ErrGeneration.
func (s *Store) CreateDEK(ctx context.Context, d DEK, rewrap bool) (DEK, error) {
	if d.Raw = ""; d.Version == 0 {
		d.Version = 1
	}
	if err := d.check(); err != nil {
		return DEK{}, err
	}
	importing := s.importing(d.Subject)
	var out DEK
	err := s.mutate(ctx, func(st *state) (storage.Write, error) {
		k := st.keks[d.KEK]
		if k == nil || k.Deleted && !d.Deleted {
			return storage.Write{}, &Refused{ErrNotFound, d.KEK}
		}
		old := st.deks[idOf(d)]
		n := d
		if err := s.complete(&n, k.KEK, old, rewrap); err != nil {
			return storage.Write{}, err
		}
		if old == nil && len(st.deks) >= MaxKeys {
			return storage.Write{}, &Refused{ErrTooMany, d.Subject}
		}
		n.UpdatedMs = s.now().UnixMilli()
		out = n
		if !importing {
			var err error
			if out, err = s.opened(k.KEK, n); err != nil { // what nobody can open is not kept
				return storage.Write{}, err
			}
		}
		return writeDEK(n, old, k)
	})
	return out, err
}

func (d DEK) check() error {
	if err := CheckSubject(d.Subject); err != nil {
		return err
	}
	if _, err := ParseAlgorithm(string(d.Algorithm)); err != nil || d.Algorithm == "" {
		return &Refused{ErrInvalid, "algorithm"}
	}
	switch {
	case d.Version < 1 || d.Version > math.MaxInt32:
		return &Refused{ErrInvalid, "version"}
	case len(d.Encrypted) > MaxMaterialBytes:
		return &Refused{ErrInvalid, "encryptedKeyMaterial"}
	}
	if _, err := base64.StdEncoding.DecodeString(d.Encrypted); err != nil {
		return &Refused{ErrInvalid, "encryptedKeyMaterial"}
	}
	return nil
}

// complete judges a new key beside what is there, and makes it if a shared KEK
// is to.
func (s *Store) complete(d *DEK, k KEK, old *key, rewrap bool) error {
	exists := &Refused{ErrExists, d.Subject}
	same := old != nil && d.Encrypted == old.Encrypted
	// A deleted key is undeleted by creating it as it is.
	if !rewrap && old != nil && (d.Deleted == old.Deleted || !same) {
		return exists
	}
	switch {
	case d.Encrypted != "" && k.Shared && old != nil:
		return exists
	case d.Encrypted != "":
		return nil
	case !k.Shared:
		return &Refused{ErrInvalid, "encryptedKeyMaterial"}
	}
	raw := generate(d.Algorithm)
	var err error
	if old != nil {
		raw, err = s.decrypt(k, old.Encrypted)
	}
	if err == nil {
		d.Encrypted, err = s.encrypt(k, raw)
	}
	if err != nil {
		return &Refused{ErrGeneration, "Could not generate encrypted dek for " + d.Subject + ": " + err.Error()}
	}
	return nil
}

// writeDEK is the change that stores d. The KEK is written again as it is, so
// that its deletion by another process at this moment conflicts.
func writeDEK(d DEK, old *key, k *kek) (storage.Write, error) {
	var version int64
	if old != nil {
		version = old.itemVersion
	}
	it, err := item(idOf(d).key(), version, d)
	if err != nil {
		return storage.Write{}, err
	}
	lock, err := item(k.key(), k.itemVersion, k.KEK)
	return storage.Write{Set: []storage.Item{it, lock}}, err
}

// DeleteDEKs deletes the DEKs of a subject, of all versions or of one; 0 is all.
// Permanently only what was deleted softly. Refusals: ErrNotFound,
// ErrNotDeleted.
func (s *Store) DeleteDEKs(ctx context.Context, kek, subject string, version int, a Algorithm, permanent bool) error {
	return s.mutate(ctx, func(st *state) (storage.Write, error) {
		var w storage.Write
		_, list, err := st.chosen(kek, subject, version, a)
		if err != nil {
			return w, err
		}
		for _, d := range list {
			if permanent && !d.Deleted {
				return w, &Refused{ErrNotDeleted, subject}
			}
		}
		for _, d := range list {
			if permanent {
				w.Set = append(w.Set, storage.Item{Key: idOf(d.DEK).key(), Version: d.itemVersion, Delete: true})
			} else if err := s.markDEK(&w, d, true); err != nil {
				return w, err
			}
		}
		return w, nil
	})
}

// UndeleteDEKs takes soft deletions back, of all versions or of one; 0 is all.
// Refusals: ErrNotFound, ErrDeleted if the KEK is deleted.
func (s *Store) UndeleteDEKs(ctx context.Context, kek, subject string, version int, a Algorithm) error {
	return s.mutate(ctx, func(st *state) (storage.Write, error) {
		var w storage.Write
		k, list, err := st.chosen(kek, subject, version, a)
		switch {
		case err != nil:
			return w, err
		case k.Deleted:
			return w, &Refused{ErrDeleted, kek}
		}
		for _, d := range list {
			if err := s.markDEK(&w, d, false); err != nil {
				return w, err
			}
		}
		if w.Empty() {
			return w, nil
		}
		lock, err := item(k.key(), k.itemVersion, k.KEK)
		w.Set = append(w.Set, lock)
		return w, err
	})
}

// chosen gives the KEK and the DEKs, deleted ones too, that a change is about.
func (st *state) chosen(kek, subject string, version int, a Algorithm) (*kek, []*key, error) {
	k := st.keks[kek]
	if k == nil {
		return nil, nil, &Refused{ErrNotFound, kek}
	}
	list := st.find(kek, subject, a, true)
	if version != 0 {
		list = nil
		if d := st.one(kek, subject, version, a, true); d != nil {
			list = []*key{d}
		}
	}
	if len(list) == 0 {
		return nil, nil, &Refused{ErrNotFound, subject}
	}
	return k, list, nil
}

// markDEK adds the change that deletes d softly, or undeletes it.
func (s *Store) markDEK(w *storage.Write, d *key, deleted bool) error {
	if d.Deleted == deleted {
		return nil
	}
	n := d.DEK
	n.Deleted, n.UpdatedMs = deleted, s.now().UnixMilli()
	it, err := item(idOf(n).key(), d.itemVersion, n)
	w.Set = append(w.Set, it)
	return err
}
