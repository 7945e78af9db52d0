package dek

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

func open(t testing.TB, e storage.Engine) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{
		Engine: e, Secret: "secret", Importing: func(subject string) bool { return subject == "imported" },
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: func() time.Time { return time.UnixMilli(1000) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shared(name string) KEK {
	return KEK{Name: name, KMSType: LocalKMS, KMSKeyID: "any", Shared: true}
}

func wants(t testing.TB, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want %v", what, err, kind)
	}
}

// dump writes everything a store says.
func dump(t testing.TB, s *Store) string {
	t.Helper()
	var b strings.Builder
	for _, name := range s.KEKs(nil, true) {
		k, err := s.KEK(name, true)
		fmt.Fprintf(&b, "%+v %v\n", k, err)
		subjects, err := s.Subjects(name, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range subjects {
			for _, a := range []Algorithm{AES128GCM, AES256GCM, AES256SIV} {
				versions, err := s.Versions(name, subject, a, true)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range versions {
					d, err := s.DEK(name, subject, v, a, true)
					fmt.Fprintf(&b, "%+v %v\n", d, err)
				}
			}
		}
	}
	return b.String()
}

// TestShared lets a shared KEK make keys of every algorithm in the sizes that
// Tink wants, open them again, after a restart too, and rewrap them.
func TestShared(t *testing.T) {
	e := memory.New()
	s := open(t, e)
	if _, err := s.CreateKEK(t.Context(), shared("k"), true); err != nil {
		t.Fatal(err)
	}
	for a, want := range map[Algorithm]string{AES128GCM: "\x1a\x10", AES256GCM: "\x1a\x20", AES256SIV: "\x12\x40"} {
		d, err := s.CreateDEK(t.Context(), DEK{KEK: "k", Subject: "s", Algorithm: a}, false)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(d.Raw)
		if err != nil || string(raw[:2]) != want || len(raw) != 2+int(raw[1]) {
			t.Errorf("%s: %x, %v", a, raw, err)
		}
		if again, err := open(t, e).DEK("k", "s", Latest, a, false); err != nil || again != d {
			t.Errorf("%s after a restart: %+v, %v, want %+v", a, again, err, d)
		}
		wrapped, err := s.CreateDEK(t.Context(), DEK{KEK: "k", Subject: "s", Algorithm: a}, true)
		if err != nil || wrapped.Raw != d.Raw || wrapped.Encrypted == d.Encrypted {
			t.Errorf("%s rewrapped: %+v, %v, was %+v", a, wrapped, err, d)
		}
	}
	_, err := s.CreateDEK(t.Context(), DEK{KEK: "k", Subject: "s", Algorithm: AES256GCM}, false)
	wants(t, "a key that is there", err, ErrExists)
	_, err = s.CreateDEK(t.Context(), DEK{KEK: "k", Subject: "large", Algorithm: AES256GCM, Encrypted: strings.Repeat("A", MaxMaterialBytes+4)}, false)
	wants(t, "material that no service makes", err, ErrInvalid)
	d, err := s.CreateDEK(t.Context(), DEK{KEK: "k", Subject: "imported", Algorithm: AES256GCM, Encrypted: "AAAA"}, false)
	if err != nil || d.Raw != "" {
		t.Errorf("an imported key: %+v, %v", d, err)
	}
	for what, kek := range map[string]KEK{
		"no secret": {KMSType: LocalKMS, Shared: true}, "another service": {KMSType: "aws-kms", Shared: true},
	} {
		s.secret = ""
		wants(t, what, s.TestKEK(kek), ErrGeneration)
	}
}

// TestUndelete creates a key again after it was deleted: the same one comes
// back, another one is refused.
func TestUndelete(t *testing.T) {
	s := open(t, memory.New())
	k := KEK{Name: "k", KMSType: "hcvault", KMSKeyID: "http://x/key"}
	d := DEK{KEK: "k", Subject: "s", Algorithm: AES256GCM, Encrypted: "AAAA"}
	ctx := t.Context()
	for range 2 {
		if _, err := s.CreateKEK(ctx, k, false); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateDEK(ctx, d, false); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.DeleteDEKs(ctx, "k", "s", 0, AES256GCM, false), s.DeleteKEK(ctx, "k", false)); err != nil {
			t.Fatal(err)
		}
	}
	k.KMSKeyID = "http://y/key"
	_, err := s.CreateKEK(ctx, k, false)
	wants(t, "another key of a deleted one's name", err, ErrExists)
	_, err = s.CreateDEK(ctx, d, false)
	wants(t, "a DEK of a deleted KEK", err, ErrNotFound)
	wants(t, "undelete a DEK of a deleted KEK", s.UndeleteDEKs(ctx, "k", "s", 1, AES256GCM), ErrDeleted)
	wants(t, "delete a KEK that a deleted DEK needs", s.DeleteKEK(ctx, "k", true), ErrReferenced)
}

// TestFaults lets the commit of each change fail; what the store says then must
// be what a new one on the same engine says.
func TestFaults(t *testing.T) {
	errDisk := errors.New("disk is gone")
	changes := map[string]func(context.Context, *Store) error{
		"create a KEK": func(ctx context.Context, s *Store) error {
			_, err := s.CreateKEK(ctx, shared("new"), false)
			return err
		},
		"create a DEK": func(ctx context.Context, s *Store) error {
			_, err := s.CreateDEK(ctx, DEK{KEK: "k", Subject: "a/b", Version: 3, Algorithm: AES256SIV}, false)
			return err
		},
		"delete a DEK": func(ctx context.Context, s *Store) error { return s.DeleteDEKs(ctx, "k", "s", 1, AES256GCM, false) },
		"update a KEK": func(ctx context.Context, s *Store) error {
			_, err := s.UpdateKEK(ctx, "k", func(k *KEK) { k.Shared = false }, false)
			return err
		},
		"delete for good": func(ctx context.Context, s *Store) error { return s.DeleteDEKs(ctx, "k", "s", 2, AES256GCM, true) },
	}
	for name, do := range changes {
		for _, tt := range []struct {
			name  string
			fault faulty.Fault
			done  bool
		}{{"refused", faulty.Refuse(storage.ErrFull), false}, {"not persisted", faulty.Refuse(errDisk), false}, {"persisted", faulty.Persist(errDisk), true}} {
			t.Run(name+", "+tt.name, func(t *testing.T) {
				e := faulty.New(memory.New())
				s := open(t, e)
				ctx := t.Context()
				_, err := s.CreateKEK(ctx, shared("k"), false)
				for v := 1; v <= 2 && err == nil; v++ {
					_, err = s.CreateDEK(ctx, DEK{KEK: "k", Subject: "s", Version: v, Algorithm: AES256GCM}, false)
				}
				if err = errors.Join(err, s.DeleteDEKs(ctx, "k", "s", 2, AES256GCM, false)); err != nil {
					t.Fatal(err)
				}
				before := dump(t, s)
				e.Next(tt.fault)
				if err := do(ctx, s); (err == nil) != tt.done {
					t.Fatalf("the change said %v", err)
				}
				if got, want := dump(t, s), dump(t, open(t, e)); got != want || (got != before) != tt.done {
					t.Errorf("it says\n%s\na restart says\n%s", got, want)
				}
				if !tt.done {
					if err := do(ctx, s); err != nil {
						t.Errorf("tried again: %v", err)
					}
				}
				if got, want := dump(t, s), dump(t, open(t, e)); got != want || got == before {
					t.Errorf("in the end it says\n%s\na restart says\n%s", got, want)
				}
			})
		}
	}
}

// TestRaces lets two processes with many clients make the same key: one does,
// and no DEK is left without its KEK.
func TestRaces(t *testing.T) {
	e := memory.New()
	first := open(t, e)
	results := make([]error, 8)
	for _, name := range []string{"k", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"} {
		if _, err := first.CreateKEK(t.Context(), shared(name), false); err != nil {
			t.Fatal(err)
		}
	}
	stores := []*Store{open(t, e), open(t, e)}
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			_, results[i] = stores[i%2].CreateDEK(context.Background(), DEK{KEK: "k", Subject: "s", Algorithm: AES256GCM}, false)
		})
		wg.Go(func() {
			name := fmt.Sprint("k", i)
			// While one deletes the KEK, the other makes a DEK with it.
			var both sync.WaitGroup
			both.Go(func() { _ = stores[0].DeleteKEK(context.Background(), name, false) })
			both.Go(func() {
				_, _ = stores[1].CreateDEK(context.Background(), DEK{KEK: name, Subject: "s", Algorithm: AES256GCM}, false)
			})
			both.Wait()
		})
	}
	wg.Wait()
	made := 0
	for _, err := range results {
		if err == nil {
			made++
		} else if !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("the key was made %d times", made)
	}
	s := open(t, e)
	for i := range results {
		name := fmt.Sprint("k", i)
		_, kek := s.KEK(name, false)
		if versions, _ := s.Versions(name, "s", AES256GCM, true); kek != nil && len(versions) > 0 {
			t.Errorf("%s is deleted and has DEKs", name)
		}
	}
}

// FuzzDecrypt: whatever a client calls key material, the answer is a refusal.
func FuzzDecrypt(f *testing.F) {
	s := &Store{secret: "secret"}
	good, err := s.encrypt(shared("k"), generate(AES256GCM))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("AAAA")
	f.Add("%")
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := s.decrypt(shared("k"), text)
		if err == nil {
			again, err := s.encrypt(shared("k"), raw)
			if back, err2 := s.decrypt(shared("k"), again); err != nil || err2 != nil || string(back) != string(raw) {
				t.Errorf("%q opens to %x, and that to %x", text, raw, back)
			}
		}
	})
}
