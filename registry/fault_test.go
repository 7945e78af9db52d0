package registry

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

var errDisk = errors.New("disk is gone")

// change is one kind of change, on a registry in which "s" has versions 1, alive,
// and 2, deleted softly.
type change struct {
	name string
	do   func(ctx context.Context, r *Registry) error
}

func changes() []change {
	return []change{
		{"register", func(ctx context.Context, r *Registry) error {
			_, err := r.Register(ctx, "s", avro(`"double"`))
			return err
		}},
		{"register a known schema", func(ctx context.Context, r *Registry) error {
			_, err := r.Register(ctx, "other", avro(`"int"`))
			return err
		}},
		{"delete softly", func(ctx context.Context, r *Registry) error {
			_, err := r.DeleteSubject(ctx, "s", false)
			return err
		}},
		{"delete permanently", func(ctx context.Context, r *Registry) error {
			_, err := r.DeleteVersion(ctx, "s", 2, true)
			return err
		}},
		{"set a level", func(ctx context.Context, r *Registry) error {
			return r.SetSettings(ctx, "s", levelOf(Full))
		}},
		{"set the mode", func(ctx context.Context, r *Registry) error {
			return r.SetMode(ctx, "", ReadOnly, false)
		}},
	}
}

func prepared(t *testing.T, e storage.Engine) *Registry {
	t.Helper()
	r := open(t, e)
	register(t, r, "s", avro(`"int"`))
	register(t, r, "s", avro(`"long"`))
	if _, err := r.DeleteVersion(t.Context(), "s", 2, false); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFaults lets the commit of each change fail: refused, failed and not
// persisted, failed but persisted. What the registry says must be what a new one
// on the same store says, and the change must work when it is tried again.
func TestFaults(t *testing.T) {
	for _, c := range changes() {
		for _, tt := range []struct {
			name  string
			fault faulty.Fault
			done  bool
		}{
			{"refused", faulty.Refuse(storage.ErrFull), false},
			{"not persisted", faulty.Refuse(errDisk), false},
			{"persisted", faulty.Persist(errDisk), true},
		} {
			t.Run(c.name+", "+tt.name, func(t *testing.T) {
				e := faulty.New(memory.New())
				r := prepared(t, e)
				before := dump(r)
				e.Next(tt.fault)
				err := c.do(t.Context(), r)
				if (err == nil) != tt.done {
					t.Fatalf("the change said %v", err)
				}
				after := dump(r)
				if got := dump(open(t, e)); got != after {
					t.Errorf("a restart says\n%s\nand the registry\n%s", got, after)
				}
				if (after != before) != tt.done {
					t.Errorf("the change was done: %v, want %v", after != before, tt.done)
				}
				if tt.done {
					return
				}
				if err := c.do(t.Context(), r); err != nil {
					t.Fatalf("tried again: %v", err)
				}
				if got, want := dump(r), dump(open(t, e)); got != want || got == before {
					t.Errorf("tried again it says\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// TestUnknownOutcome lets the look at the store fail too: the registry must not
// build on a view that may be wrong.
func TestUnknownOutcome(t *testing.T) {
	inner := &noScan{Engine: memory.New()}
	e := faulty.New(inner)
	r := open(t, e)
	e.Next(faulty.Persist(errDisk))
	inner.broken = true
	_, err := r.Register(t.Context(), "s", avro(`"int"`))
	wants(t, "register", err, errDisk)
	_, err = r.Register(t.Context(), "t", avro(`"long"`))
	wants(t, "register while the store cannot be read", err, errScan)
	inner.broken = false
	if v := register(t, r, "t", avro(`"long"`)); v.ID != 2 {
		t.Errorf("the id given next is %d, want 2", v.ID)
	}
	if v := register(t, r, "s", avro(`"int"`)); v.ID != 1 || v.Version != 1 {
		t.Errorf("what was persisted: %+v", v)
	}
}

var errScan = errors.New("no scan")

// noScan is an engine that cannot be scanned while it is broken.
type noScan struct {
	storage.Engine
	broken bool
}

func (e *noScan) Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error] {
	if e.broken {
		return func(yield func(storage.Item, error) bool) { yield(storage.Item{}, errScan) }
	}
	return e.Engine.Scan(ctx, prefix)
}

// TestTwoProcesses changes one store through two registries in turns that must
// conflict: each time the second one knows nothing of what the first did.
func TestTwoProcesses(t *testing.T) {
	ref := schema.Reference{Name: "shop.User", Subject: "user", Version: 1}
	list := avro(`{"type":"array","items":"shop.User"}`, ref)
	t.Run("refer, then delete", func(t *testing.T) {
		e := memory.New()
		a := open(t, e)
		register(t, a, "user", avro(userV1))
		b := open(t, e)
		register(t, a, "list", list)
		_, err := b.DeleteSubject(t.Context(), "user", false)
		wants(t, "delete", err, ErrReferenced)
	})
	t.Run("delete, then refer", func(t *testing.T) {
		e := memory.New()
		a := open(t, e)
		register(t, a, "user", avro(userV1))
		b := open(t, e)
		if _, err := a.DeleteSubject(t.Context(), "user", false); err != nil {
			t.Fatal(err)
		}
		_, err := b.Register(t.Context(), "list", list)
		if _, ok := errors.AsType[*schema.ParseError](err); !ok {
			t.Errorf("refer to a deleted version: %v", err)
		}
	})
	t.Run("use an id, then delete it", func(t *testing.T) {
		e := memory.New()
		a := open(t, e)
		register(t, a, "s", avro(`"int"`))
		if _, err := a.DeleteSubject(t.Context(), "s", false); err != nil {
			t.Fatal(err)
		}
		b := open(t, e)
		register(t, a, "t", avro(`"int"`))
		if _, err := b.DeleteSubject(t.Context(), "s", true); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, e).ByID(1, ""); err != nil {
			t.Errorf("the id that is in use: %v", err)
		}
	})
	t.Run("delete an id, then use it", func(t *testing.T) {
		e := memory.New()
		a := open(t, e)
		register(t, a, "s", avro(`"int"`))
		if _, err := a.DeleteSubject(t.Context(), "s", false); err != nil {
			t.Fatal(err)
		}
		b := open(t, e)
		if _, err := a.DeleteSubject(t.Context(), "s", true); err != nil {
			t.Fatal(err)
		}
		if v := register(t, b, "t", avro(`"int"`)); v.ID != 2 {
			t.Errorf("the id is %d, want a new one, 2", v.ID)
		}
	})
	t.Run("set the level, then register", func(t *testing.T) {
		e := memory.New()
		a := open(t, e)
		register(t, a, "s", avro(`"int"`))
		b := open(t, e)
		if err := a.SetSettings(t.Context(), "", levelOf(Full)); err != nil {
			t.Fatal(err)
		}
		_, err := b.Register(t.Context(), "s", avro(`"long"`))
		if bad, ok := errors.AsType[*Incompatible](err); !ok || bad.Level != Full {
			t.Errorf("register: %v", err)
		}
	})
}

// TestWaits says that a change that waits for another one gives up with its
// context.
func TestWaits(t *testing.T) {
	e := faulty.New(memory.New())
	r := open(t, e)
	release := e.Hold()
	done := make(chan error)
	go func() {
		_, err := r.Register(context.WithoutCancel(t.Context()), "s", avro(`"int"`))
		done <- err
	}()
	<-e.Held()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Register(ctx, "s", avro(`"long"`))
	wants(t, "register", err, context.Canceled)
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if names := r.Subjects("", Alive); !slices.Equal(names, []string{"s"}) {
		t.Errorf("subjects: %q", names)
	}
}

func TestDamage(t *testing.T) {
	home := keysOf(DefaultContext)
	for key, value := range map[string]string{
		home.schema(1):                    `{"type":`,
		string(home) + prefixSchema + "x": `{}`,
		home.subject("s"):                 `{"versions":[{"version":1,"id":9}]}`,
		home.next():                       `[]`,
		home.settings():                   `5`,
	} {
		e := memory.New()
		if err := e.Commit(t.Context(), storage.Write{Set: []storage.Item{{Key: key, Value: []byte(value)}}}); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), Config{Engine: e})
		wants(t, key, err, storage.ErrBroken)
	}
}
