package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// again is a catalog whose server can be made anew, as by a restart.
type again struct {
	t     *testing.T
	items *tabletest.Items
	store blob.Store
	h     http.Handler
}

func newAgain(t *testing.T) *again {
	a := &again{t: t, items: tabletest.NewItems(), store: blob.NewMemory()}
	a.restart()
	return a
}

func (a *again) restart() {
	a.h = catalog.Handler(catalog.New(catalog.Config{Items: a.items, Store: a.store}), catalog.Options{})
}

// send sends a request with a key, or without one, and returns what was answered.
func (a *again) send(key, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(a.t.Context(), method, "/iceberg/v1"+path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	a.h.ServeHTTP(w, r)
	return w
}

func (a *again) want(code int, key, method, path, body string) string {
	a.t.Helper()
	w := a.send(key, method, path, body)
	if w.Code != code {
		a.t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, code)
	}
	return w.Body.String()
}

func newKey() string { return uuid.Must(uuid.NewV7()).String() }

// onceSteps are requests in their order; each has one effect, and would be
// answered otherwise if it were done twice.
var onceSteps = []struct {
	name, method, path, body string
	code                     int
}{
	{"create namespace", "POST", "/namespaces", `{"namespace":["lab"],"properties":{"a":"1","b":"2"}}`, 200},
	{"create namespace that is there", "POST", "/namespaces", `{"namespace":["lab"]}`, 409},
	{"properties", "POST", "/namespaces/lab/properties", `{"removals":["a","none"],"updates":{"b":"3","c":"4"}}`, 200},
	{"stage table", "POST", "/namespaces/lab/tables", strings.Replace(createOrders, `"name"`, `"stage-create":true,"name"`, 1), 200},
	{"create table", "POST", "/namespaces/lab/tables", createOrders, 200},
	{"table that is not there", "DELETE", "/namespaces/lab/tables/moved", "", 404},
	{"commit", "POST", "/namespaces/lab/tables/orders", `{"requirements":[{"type":"assert-current-schema-id","current-schema-id":0}],"updates":[
		{"action":"add-schema","schema":{"type":"struct","fields":[{"id":1,"name":"id","type":"long","required":true},{"id":3,"name":"more","type":"string","required":false}]}},
		{"action":"set-current-schema","schema-id":-1}]}`, 200},
	{"commit of nothing", "POST", "/namespaces/lab/tables/orders", `{"requirements":[],"updates":[]}`, 200},
	{"commit that is late", "POST", "/namespaces/lab/tables/orders", `{"requirements":[{"type":"assert-current-schema-id","current-schema-id":0}],"updates":[]}`, 409},
	{"transaction", "POST", "/transactions/commit", `{"table-changes":[{"identifier":{"namespace":["lab"],"name":"orders"},
		"requirements":[{"type":"assert-current-schema-id","current-schema-id":1}],"updates":[{"action":"set-current-schema","schema-id":0}]}]}`, 204},
	{"rename", "POST", "/tables/rename", `{"source":{"namespace":["lab"],"name":"orders"},"destination":{"namespace":["lab"],"name":"moved"}}`, 204},
	{"namespace with a table", "DELETE", "/namespaces/lab", "", 409},
	{"unregister", "POST", "/namespaces/lab/tables/moved/unregister", `{}`, 200},
	{"register", "POST", "/namespaces/lab/register", `{"name":"back","metadata-location":"AT"}`, 200},
	{"drop", "DELETE", "/namespaces/lab/tables/back?purgeRequested=true", "", 204},
	{"drop namespace", "DELETE", "/namespaces/lab", "", 204},
}

// TestSentAgain sends each request with a key of its own, at once again, and all
// again when the server has been made anew: all are answered as at first, and
// nothing is done twice.
func TestSentAgain(t *testing.T) {
	a := newAgain(t)
	var at string
	keys, bodies, answers := make([]string, len(onceSteps)), make([]string, len(onceSteps)), make([]string, len(onceSteps))
	for i, s := range onceSteps {
		keys[i], bodies[i] = newKey(), strings.Replace(s.body, "AT", at, 1)
		answers[i] = a.want(s.code, keys[i], s.method, s.path, bodies[i])
		if got := a.want(s.code, keys[i], s.method, s.path, bodies[i]); got != answers[i] {
			t.Errorf("%s: again\n%s\nat first\n%s", s.name, got, answers[i])
		}
		if s.name == "unregister" {
			var answer struct {
				At string `json:"metadata-location"`
			}
			if err := json.Unmarshal([]byte(answers[i]), &answer); err != nil || answer.At == "" {
				t.Fatalf("%s: %v", answers[i], err)
			}
			at = answer.At
		}
	}
	a.restart()
	writes := a.items.Writes()
	for i, s := range onceSteps {
		got := a.want(s.code, strings.ToUpper(keys[i]), s.method, s.path, bodies[i])
		switch s.name {
		case "create table", "commit", "commit of nothing": // the newest that is known of the table
			if !strings.Contains(got, `"metadata-location"`) || uuidOf(got) != uuidOf(answers[i]) {
				t.Errorf("%s: after a restart %s", s.name, got)
			}
		default:
			if got != answers[i] {
				t.Errorf("%s: after a restart\n%s\nat first\n%s", s.name, got, answers[i])
			}
		}
	}
	if a.items.Writes() != writes {
		t.Errorf("%d writes by requests that were done", a.items.Writes()-writes)
	}
}

func uuidOf(answer string) string {
	_, rest, _ := strings.Cut(answer, `"table-uuid":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// TestKeyOfAnother refuses a key that another request had, and keys that are
// none.
func TestKeyOfAnother(t *testing.T) {
	a := newAgain(t)
	key := newKey()
	a.want(200, key, "POST", "/namespaces", `{"namespace":["one"],"properties":{"x":"1"}}`)
	a.want(200, key, "POST", "/namespaces", ` {"properties": {"x":"1"}, "namespace":["one"]}`)
	for _, other := range [][2]string{
		{"/namespaces", `{"namespace":["two"],"properties":{"x":"1"}}`},
		{"/namespaces/one/properties", `{"namespace":["one"],"properties":{"x":"1"}}`},
	} {
		if got := a.want(422, key, "POST", other[0], other[1]); !strings.Contains(got, "UnprocessableEntityException") || !strings.Contains(got, key) {
			t.Errorf("refused with %s", got)
		}
	}
	a.want(404, "", "GET", "/namespaces/two", "")
	for _, bad := range []string{"x", "{" + key + "}", strings.ReplaceAll(key, "-", "")} {
		if got := a.want(400, bad, "POST", "/namespaces", `{"namespace":["two"]}`); !strings.Contains(got, "is no UUID") {
			t.Errorf("refused with %s", got)
		}
	}
	a.want(200, "x", "GET", "/namespaces", "") // which no key belongs to
}

// TestAgainAfterFaults has the store fail at each write of a request: an answer
// of 500 is not kept, and the request that is sent again has its one effect,
// whether the failed write had happened or not.
func TestAgainAfterFaults(t *testing.T) {
	for _, f := range []fault{failBefore, failAfter} {
		a := newAgain(t)
		at := ""
		for _, s := range onceSteps {
			key, body := newKey(), strings.Replace(s.body, "AT", at, 1)
			failed := false
			a.items.Fail = func(put []tables.Item) (error, error) {
				if failed {
					return nil, nil
				}
				failed = true
				return f.errs(put)
			}
			first := a.send(key, s.method, s.path, body)
			a.items.Fail = nil
			a.restart()
			if first.Code != s.code && first.Code != 500 {
				t.Errorf("fault %d, %s: %d %s", f, s.name, first.Code, first.Body)
			}
			got := a.want(s.code, key, s.method, s.path, body)
			if s.name == "unregister" {
				var answer struct {
					At string `json:"metadata-location"`
				}
				if err := json.Unmarshal([]byte(got), &answer); err != nil {
					t.Fatal(err)
				}
				at = answer.At
			}
		}
	}
}

// TestTogether sends a request while the same one is under way: it waits, and
// gets the first one's answer.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgain(t)
		release := make(chan struct{})
		var puts int
		a.items.Fail = func([]tables.Item) (error, error) { puts++; return nil, nil }
		slow := &slowItems{a.items, release}
		a.h = catalog.Handler(catalog.New(catalog.Config{Items: slow, Store: a.store}), catalog.Options{})
		key := newKey()
		var codes [3]int
		var all sync.WaitGroup
		for i := range codes {
			all.Go(func() { codes[i] = a.send(key, "POST", "/namespaces", `{"namespace":["lab"]}`).Code })
		}
		synctest.Wait() // one is at the store, the others wait for it
		close(release)
		all.Wait()
		if codes != [3]int{200, 200, 200} || puts != 1 {
			t.Errorf("answered %v with %d writes", codes, puts)
		}
	})
}

type slowItems struct {
	*tabletest.Items
	release chan struct{}
}

func (s *slowItems) Get(ctx context.Context, key string) (tables.Item, error) {
	<-s.release
	return s.Items.Get(ctx, key)
}

// TestKeysEnd lets keys outlive the lifetime that clients are told: then they
// count for nothing, and are deleted.
func TestKeysEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgain(t)
		if got := a.want(200, "", "GET", "/config", ""); !strings.Contains(got, `"idempotency-key-lifetime":"PT30M"`) {
			t.Errorf("config %s", got)
		}
		key := newKey()
		create := `{"namespace":["lab"]}`
		a.want(200, key, "POST", "/namespaces", create)
		a.want(204, "", "DELETE", "/namespaces/lab", "")
		time.Sleep(30 * time.Minute)
		a.want(200, key, "POST", "/namespaces", create)
		a.want(404, "", "GET", "/namespaces/lab", "")
		time.Sleep(6 * time.Minute)
		a.want(200, key, "POST", "/namespaces", create)
		a.want(200, "", "GET", "/namespaces/lab", "")

		for range 300 {
			a.want(404, newKey(), "DELETE", "/namespaces/none", "")
		}
		a.restart()
		time.Sleep(36 * time.Minute)
		a.want(404, newKey(), "DELETE", "/namespaces/none", "")
		a.want(200, newKey(), "POST", "/namespaces", `{"namespace":["more"]}`)
		if n := a.kept(); n != 303-256 {
			t.Errorf("%d outcomes are kept", n)
		}
	})
}

// kept counts the outcomes in the store.
func (a *again) kept() (n int) {
	for range a.items.Scan(a.t.Context(), "iceberg/once/") {
		n++
	}
	return n
}

// TestTooManyKeys refuses what could not be kept, before anything is done.
func TestTooManyKeys(t *testing.T) {
	a := newAgain(t)
	value := fmt.Appendf(nil, `{"hash":"x","at":%d,"status":204}`, time.Now().UnixMilli())
	var all []tables.Item
	for i := range 1 << 16 {
		all = append(all, tables.Item{Key: fmt.Sprintf("iceberg/once/%d", i), Value: value})
	}
	if err := a.items.Put(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	w := a.send(newKey(), "POST", "/namespaces", `{"namespace":["lab"]}`)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	a.want(404, "", "GET", "/namespaces/lab", "")
	a.want(200, "", "POST", "/namespaces", `{"namespace":["lab"]}`)
}
