package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

const (
	orderV1 = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"}]}`
	orderV2 = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"note","type":"string","default":""}]}`
	orderV3 = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"amount","type":"double"}]}`
	userV1  = `{"type":"record","name":"User","namespace":"shop","fields":[{"name":"name","type":"string"}]}`
)

// open opens a registry whose clock stands at 1000 ms.
func open(t testing.TB, e storage.Engine) *Registry {
	t.Helper()
	r, err := Open(t.Context(), Config{
		Engine: e,
		Log:    slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now:    func() time.Time { return time.UnixMilli(1000) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func avro(text string, refs ...schema.Reference) Request {
	return Request{Text: text, References: refs}
}

func register(t testing.TB, r *Registry, subject string, req Request) Version {
	t.Helper()
	v, err := r.Register(t.Context(), subject, req)
	if err != nil {
		t.Fatalf("register %s: %v", subject, err)
	}
	return v
}

// levelOf is the change of settings that sets a level.
func levelOf(l Level) func(*Settings) error {
	return func(s *Settings) error {
		s.Level = l
		return nil
	}
}

// wants checks an error's kind.
func wants(t testing.TB, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want %v", what, err, kind)
	}
}

// dump writes everything a registry says of its versions.
func dump(r *Registry) string {
	var b strings.Builder
	for _, v := range r.List("", All, false) {
		fmt.Fprintf(&b, "%s/%d id=%d deleted=%v %s %s\n", v.Subject, v.Version, v.ID, v.Deleted, v.GUID, v.Text)
	}
	fmt.Fprintf(&b, "max=%d", r.MaxID(DefaultContext))
	for _, name := range []string{"", "s", "orders-value"} {
		fmt.Fprintf(&b, " %q=%s,%s", name, r.Level(name), r.ModeInForce(name))
	}
	return b.String()
}

func TestRegister(t *testing.T) {
	r := open(t, memory.New())
	changed := r.Changed()
	v1 := register(t, r, "orders-value", avro(orderV1))
	if v1.Version != 1 || v1.ID != 1 || v1.Type != schema.Avro || v1.Text != orderV1 || v1.CreatedMs != 1000 {
		t.Errorf("first version: %+v", v1)
	}
	select {
	case <-changed:
	default:
		t.Error("a registration closed no channel")
	}
	changed = r.Changed()
	if again := register(t, r, "orders-value", avro(" "+orderV1)); again.Version != 1 || again.ID != 1 {
		t.Errorf("registered again: %+v", again)
	}
	select {
	case <-changed:
		t.Error("a registration of what is there changed something")
	default:
	}
	if other := register(t, r, "other", avro(orderV1)); other.ID != 1 || other.Version != 1 || other.GUID != v1.GUID {
		t.Errorf("the same schema in another subject: %+v", other)
	}
	if v2 := register(t, r, "orders-value", avro(orderV2)); v2.ID != 2 || v2.Version != 2 {
		t.Errorf("second version: %+v", v2)
	}
	if got, ok := r.Latest("orders-value"); !ok || got.Version != 2 {
		t.Errorf("latest: %+v, %v", got, ok)
	}
	_, err := r.Register(t.Context(), "orders-value", avro(orderV3))
	bad, ok := errors.AsType[*Incompatible](err)
	if !ok || bad.OldVersion != 2 || bad.Level != Backward || len(bad.Differences) != 1 {
		t.Fatalf("an incompatible version: %v", err)
	}
	want := []string{
		`{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'amount' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'amount'}`,
		`{oldSchemaVersion: 2}`, `{oldSchema: '` + orderV2 + `'}`, `{validateFields: 'false', compatibility: 'BACKWARD'}`,
	}
	if got := bad.Messages(); !slices.Equal(got, want) {
		t.Errorf("messages:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRestart(t *testing.T) {
	e := memory.New()
	r := open(t, e)
	register(t, r, "user", avro(userV1))
	register(t, r, "orders-value", avro(orderV1))
	register(t, r, "orders-value", avro(orderV2))
	register(t, r, "list", avro(`{"type":"array","items":"shop.User"}`, schema.Reference{Name: "shop.User", Subject: "user", Version: Latest}))
	if err := r.SetSettings(t.Context(), "orders-value", levelOf(Full)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DeleteVersion(t.Context(), "orders-value", 1, false); err != nil {
		t.Fatal(err)
	}
	if err := r.SetMode(t.Context(), "", ReadOnly, false); err != nil {
		t.Fatal(err)
	}
	again := open(t, e)
	if got, want := dump(again), dump(r); got != want {
		t.Errorf("after a restart:\n%s\nwant\n%s", got, want)
	}
	if _, err := again.Schema(DefaultContext, 4); err != nil {
		t.Errorf("a stored schema with references: %v", err)
	}
}

func TestRaces(t *testing.T) {
	e := memory.New()
	// Two processes on one store, and in each many clients.
	rs := []*Registry{open(t, e), open(t, e)}
	const clients = 8
	var wg sync.WaitGroup
	ids := make([]Version, clients)
	errs := make([]error, clients)
	for i := range clients {
		wg.Go(func() {
			ids[i], errs[i] = rs[i%2].Register(context.Background(), "orders-value", avro(orderV1))
		})
		wg.Go(func() {
			text := fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["A"]}`, i)
			if _, err := rs[i%2].Register(context.Background(), fmt.Sprint("s", i), avro(text)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, v := range ids {
		if errs[i] != nil || v.ID != ids[0].ID || v.Version != 1 {
			t.Errorf("client %d: %+v, %v", i, v, errs[i])
		}
	}
	all := open(t, e).List("", All, false)
	seen := map[int]string{}
	for _, v := range all {
		if other, twice := seen[v.ID]; twice {
			t.Errorf("id %d was given to %s and %s", v.ID, other, v.Subject)
		}
		seen[v.ID] = v.Subject
	}
	if len(all) != clients+1 || len(seen) != clients+1 {
		t.Errorf("%d versions with %d ids, want %d", len(all), len(seen), clients+1)
	}
}
