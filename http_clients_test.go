package main

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/telemetry"
)

// asked sends a request to the routes of clients and decodes the answer.
func asked[T any](t *testing.T, n *node, method, path, body string, want int) T {
	t.Helper()
	w := httptest.NewRecorder()
	n.clientsAPI().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	if w.Code != want {
		t.Errorf("%s %s %s: got %d, want %d: %s", method, path, body, w.Code, want, w.Body)
	}
	var out T
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil && w.Code == http.StatusOK {
		t.Errorf("%s %s: %v: %s", method, path, err, w.Body)
	}
	return out
}

func TestHTTPClients(t *testing.T) {
	b := brokertest.New(t)
	n := &node{broker: b.Broker}
	if got := asked[[]clientInfo](t, n, "GET", "/api/clients", "", 200); got == nil || len(got) != 0 {
		t.Errorf("before anybody came: %v", got)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.ClientID("shop"), kgo.SoftwareNameAndVersion("till", "1.2"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := asked[[]clientInfo](t, n, "GET", "/api/clients", "", 200)
	if !slices.ContainsFunc(all, func(c clientInfo) bool {
		return c.ClientID == "shop" && c.Software == "till" && c.Version == "1.2" && c.Listener == "PLAINTEXT" && c.User == "ANONYMOUS" &&
			c.LastRequest != nil && c.Requests >= 2 && slices.Contains(c.Keys, "ApiVersions") && slices.Contains(c.Keys, "Metadata")
	}) {
		t.Errorf("got %+v", all)
	}
}

func TestHTTPListeners(t *testing.T) {
	b := brokertest.New(t)
	n := &node{broker: b.Broker}
	get := func() string {
		t.Helper()
		return asked[[]listenerInfo](t, n, "GET", "/api/listeners", "", 200)[0].Advertised
	}
	was := get()
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{`[{"name":"PLAINTEXT","advertised":"broker.example:1234"}]`, 200, "broker.example:1234"},
		{`[{"name":"OTHER","advertised":"broker.example:1"}]`, 422, "broker.example:1234"},
		{`[{"name":"PLAINTEXT","advertised":"nowhere"}]`, 422, "broker.example:1234"},
		{`[{"name":"PLAINTEXT","advertised":"a:1,PLAINTEXT://b:2"}]`, 422, "broker.example:1234"},
		{`{"PLAINTEXT":"a:1"}`, 400, "broker.example:1234"},
		{`[{"name":"PLAINTEXT","told":"a:1"}]`, 400, "broker.example:1234"},
		{`[]`, 200, was},
	} {
		asked[any](t, n, "PUT", "/api/listeners", c.body, c.status)
		if got := get(); got != c.want {
			t.Errorf("after %s clients are told %s, want %s", c.body, got, c.want)
		}
	}
}

func TestHTTPSubscriptions(t *testing.T) {
	n := &node{broker: brokertest.New(t).Broker}
	for _, c := range []struct {
		method, name, body string
		status             int
		want               string
	}{
		{"PUT", "s%2F1", `{"metrics":"a.,b.","interval_ms":1000,"match":"client_id=x"}`, 200, "[{s/1 a.,b. 1000 client_id=x}]"},
		{"PUT", "s%2F1", `{"metrics":"*"}`, 200, "[{s/1 * 300000 }]"},
		{"PUT", "t", `{}`, 422, "[{s/1 * 300000 }]"},
		{"PUT", "t", `{"interval_ms":1}`, 422, "[{s/1 * 300000 }]"},
		{"PUT", "t", `{"colour":"red"}`, 400, "[{s/1 * 300000 }]"},
		{"DELETE", "s%2F1", "", 200, "[]"},
	} {
		asked[any](t, n, c.method, "/api/clients/subscriptions/"+c.name, c.body, c.status)
		got := "["
		for i, s := range asked[[]subscriptionInfo](t, n, "GET", "/api/clients/subscriptions", "", 200) {
			if i > 0 {
				got += " "
			}
			got += "{" + s.Name + " " + s.Metrics + " " + s.IntervalMs.String() + " " + s.Match + "}"
		}
		if got += "]"; got != c.want {
			t.Errorf("after %s %s: got %s, want %s", c.method, c.body, got, c.want)
		}
	}
}

// TestHTTPClientMetrics shows what was pushed, and what JSON has no number for.
func TestHTTPClientMetrics(t *testing.T) {
	n := &node{broker: brokertest.New(t).Broker}
	tel, id := n.broker.Telemetry(), telemetry.NewID()
	who := telemetry.Client{ID: "shop", Software: "till", Host: "127.0.0.1"}
	if err := tel.Alter(t.Context(), "s", []telemetry.Change{{Key: telemetry.Metrics, Value: "*"}}, false, false); err != nil {
		t.Fatal(err)
	}
	told, err := tel.Subscribe(id, who)
	if err != nil {
		t.Fatal(err)
	}
	message := func(num protowire.Number, body []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), body)
	}
	number := func(f float64) []byte {
		return message(1, protowire.AppendFixed64(protowire.AppendTag(nil, 4, protowire.Fixed64Type), math.Float64bits(f)))
	}
	metric := append(message(1, []byte("m")), message(5, append(number(1.5), number(math.NaN())...))...)
	if err := tel.Push(id, who, told.ID, false, record.None, message(1, message(2, message(2, metric)))); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{"": 1, "?client_id=shop": 1, "?client_id=other": 0} {
		all := asked[[]instanceInfo](t, n, "GET", "/api/clients/metrics"+query, "", 200)
		if len(all) != want {
			t.Errorf("%q: %d clients, want %d", query, len(all), want)
		}
		for _, in := range all {
			m := in.Metrics
			if in.Instance != id.String() || in.Pushed == nil || len(m) != 2 || *m[0].Value != 1.5 || m[1].Value != nil || m[0].Count != nil {
				t.Errorf("got %+v", in)
			}
		}
	}
}
