package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/console"
	"github.com/tarn-io/tarn/sink"
)

// openNode is a whole broker in memory, with everything around it, that serves until
// the test ends.
func openNode(t *testing.T, args ...string) *node {
	t.Helper()
	var c cli
	p, err := newParser(&c, stdio{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Parse(append([]string{"serve", "--data", t.TempDir(), "--storage", "memory://", "--warehouse", "memory://",
		"--kafka.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0"}, args...)); err != nil {
		t.Fatal(err)
	}
	lg := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	n := &node{cmd: &c.Serve, lg: lg, level: new(slog.LevelVar)}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	if err := n.open(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 3)
	go func() { done <- n.broker.Run(ctx) }()
	go func() { done <- n.sinks.Run(ctx) }()
	go func() { done <- n.serveHTTP(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		n.close()
	})
	return n
}

// asks sends requests to a node.
type asks struct {
	t    *testing.T
	n    *node
	user string // signs in by name and password, which are the same
}

func (a asks) raw(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	a.t.Helper()
	r := httptest.NewRequestWithContext(a.t.Context(), method, path, strings.NewReader(body))
	if a.user != "" {
		r.SetBasicAuth(a.user, a.user)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.n.web.Handler.ServeHTTP(w, r)
	return w
}

// want asks, wants a status, and decodes the answer.
func want[T any](a asks, method, path, body string, status int) T {
	a.t.Helper()
	w := a.raw(method, path, body)
	if w.Code != status {
		a.t.Errorf("%s %s %s: got %d, want %d: %.400s", method, path, body, w.Code, status, w.Body)
	}
	var out T
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil && w.Code == http.StatusOK {
		a.t.Errorf("%s %s: %v: %.400s", method, path, err, w.Body)
	}
	return out
}

// produce sends a value, and a key if there is one, to a partition.
func (a asks) produce(topic string, partition int, key, value string) produced {
	a.t.Helper()
	d := map[string]any{"partition": partition, "value": draftPart{Form: "text", Text: value}}
	if key != "" {
		d["key"] = draftPart{Form: "text", Text: key}
	}
	b, err := json.Marshal(d)
	if err != nil {
		a.t.Fatal(err)
	}
	return want[produced](a, "POST", "/api/topics/"+topic+"/records", string(b), 200)
}

const orderSchema = `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"who","type":"string"}]}`

func register(a asks, subject, text string) {
	a.t.Helper()
	b, err := json.Marshal(map[string]string{"schema": text})
	if err != nil {
		a.t.Fatal(err)
	}
	want[map[string]any](a, "POST", "/subjects/"+subject+"/versions", string(b), 200)
}

func TestConsoleTopics(t *testing.T) {
	a := asks{t: t, n: openNode(t)}
	want[map[string]any](a, "POST", "/api/topics", `{"name":"orders","partitions":3,"configs":{"tarn.value.schema.validation":"payload"}}`, 200)
	want[map[string]any](a, "POST", "/api/topics", `{"name":"dry","dry_run":true}`, 200)
	want[apiError](a, "POST", "/api/topics", `{"name":"orders"}`, 409)
	want[apiError](a, "POST", "/api/topics", `{"name":"bad/name"}`, 422)
	want[apiError](a, "POST", "/api/topics", `{"name":"x","configs":{"retention.ms":"soon"}}`, 422)
	want[apiError](a, "POST", "/api/topics", `{"nam":"x"}`, 400)
	all := want[[]topicInfo](a, "GET", "/api/topics", "", 200)
	if len(all) != 1 || all[0].Name != "orders" || all[0].Partitions != 3 || all[0].Cleanup != "delete" {
		t.Errorf("topics: %+v", all)
	}
	want[map[string]any](a, "PATCH", "/api/topics/orders/config", `{"set":{"retention.ms":"1000000"},"dry_run":true}`, 200)
	value := func() (string, string) {
		for _, c := range want[[]configEntry](a, "GET", "/api/topics/orders/config", "", 200) {
			if c.Name == "retention.ms" {
				return c.Value, c.Source
			}
		}
		return "", ""
	}
	if v, from := value(); v == "1000000" || from != "default" {
		t.Errorf("after a dry run: %s from %s", v, from)
	}
	want[map[string]any](a, "PATCH", "/api/topics/orders/config", `{"set":{"retention.ms":"1000000"}}`, 200)
	if v, from := value(); v != "1000000" || from != "topic" {
		t.Errorf("after the change: %s from %s", v, from)
	}
	want[map[string]any](a, "PATCH", "/api/topics/orders/config", `{"set":{"retention.ms":null}}`, 200)
	if _, from := value(); from != "default" {
		t.Errorf("taken back: from %s", from)
	}
	want[apiError](a, "PATCH", "/api/topics/orders/config", `{"set":{"retention.ms":"soon"}}`, 422)
	want[apiError](a, "PATCH", "/api/topics/orders/config", `{"set":{}}`, 422)
	want[map[string]int](a, "POST", "/api/topics/orders/partitions", `{"total":4}`, 200)
	want[apiError](a, "POST", "/api/topics/orders/partitions", `{"total":2}`, 422)
	if one := want[topicDetail](a, "GET", "/api/topics/orders", "", 200); len(one.Parts) != 4 || one.ValueSubject != "orders-value" || len(one.ID) < 32 {
		t.Errorf("topic: %+v", one)
	}
	want[apiError](a, "GET", "/api/topics/none", "", 404)
	want[map[string]string](a, "DELETE", "/api/topics/orders", "", 200)
	want[apiError](a, "DELETE", "/api/topics/orders", "", 404)
	if w := a.raw("GET", "/", "", "Accept", "text/html"); w.Code != 302 || w.Header().Get("Location") != "/console" {
		t.Errorf("a browser at the root: %d %s", w.Code, w.Header().Get("Location"))
	}
}

func TestConsoleDrafts(t *testing.T) {
	a := asks{t: t, n: openNode(t)}
	want[map[string]any](a, "POST", "/api/topics", `{"name":"orders","configs":{"tarn.value.schema.validation":"payload"}}`, 200)
	register(a, "orders-value", orderSchema)
	start := want[draftStart](a, "GET", "/api/topics/orders/template", "", 200)
	if start.Value.Version != 1 || start.Value.Type != "AVRO" || start.Key.Subject != "" {
		t.Errorf("template: %+v", start)
	}
	body := func(form, text string) string {
		b, _ := json.Marshal(draft{Value: &draftPart{Form: form, Text: text}})
		return string(b)
	}
	for _, c := range []struct {
		name, form, text, part string
		ok                     bool
	}{
		{"the template", "", start.Value.Text, "", true},
		{"the largest", "schema", `{"id":9223372036854775807,"who":"Zoë"}`, "", true},
		{"too large", "schema", `{"id":9223372036854775808,"who":"x"}`, "value", false},
		{"a field short", "schema", `{"id":1}`, "value", false},
		{"no JSON", "schema", "{\n\"id\":", "value", false},
		{"bytes without a schema", "text", "plain", "value", false},
		{"no base64", "base64", "%", "value", false},
		{"null", "null", "", "", true},
		{"an unknown form", "xml", "", "value", false},
	} {
		v := want[draftVerdict](a, "POST", "/api/topics/orders/check", body(c.form, c.text), 200)
		if v.OK != c.ok || v.Part != c.part || (v.Message == "") != c.ok {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
	if got := a.n.validator.Rejected("orders", a.n.broker.Topics().View().ByName("orders").ID); got != 0 {
		t.Errorf("drafts were counted as %d rejections", got)
	}
	if e := want[apiError](a, "POST", "/api/topics/orders/records", body("text", "plain"), 422); !strings.Contains(e.Message, "orders-value") {
		t.Errorf("a refused record: %q", e.Message)
	}
	want[apiError](a, "POST", "/api/topics/orders/records", `{"partition":7,"key":null,"value":null}`, 422)
	want[produced](a, "POST", "/api/topics/orders/records", body("", `{"id":9223372036854775807,"who":"Zoë"}`), 200)
	got := want[browseAnswer](a, "GET", "/api/topics/orders/records", "", 200)
	if len(got.Records) != 1 || got.Records[0].Value.Text != `{"id":9223372036854775807,"who":"Zoë"}` || got.Records[0].Value.SchemaID != 1 {
		t.Errorf("records: %+v", got)
	}
}

// TestConsoleRecords reads several partitions as one, searches, and goes on.
func TestConsoleRecords(t *testing.T) {
	a := asks{t: t, n: openNode(t)}
	want[map[string]any](a, "POST", "/api/topics", `{"name":"t","partitions":4}`, 200)
	var stamps []int64
	for i := range 40 {
		p := a.produce("t", i%4, fmt.Sprintf("k%d", i%5), fmt.Sprintf(`{"n":%d,"big":18446744073709551615,"n":%d}`, i, i))
		stamps = append(stamps, p.TimestampMs)
	}
	var seen []int64
	cursor := ""
	for range 10 {
		got := want[browseAnswer](a, "GET", "/api/topics/t/records?limit=7&cursor="+cursor, "", 200)
		for _, r := range got.Records {
			seen = append(seen, r.TimestampMs)
		}
		if cursor = got.Cursor; got.Why == "end" {
			break
		}
	}
	if len(seen) != len(stamps) {
		t.Fatalf("page by page %d records, want %d", len(seen), len(stamps))
	}
	for i := 1; i < len(seen); i++ {
		if seen[i] > seen[i-1] {
			t.Fatalf("newest first: %d comes after %d", seen[i], seen[i-1])
		}
	}
	for _, c := range []struct {
		query string
		want  int
		why   string
	}{
		{"order=oldest&limit=1000", 40, "end"},
		{"partition=2", 10, "end"},
		{"key=k3", 8, "end"},
		{"key=none", 0, "end"},
		{"text=%22N%22:7,", 1, "end"},
		{"where=kafka_key='k1'+and+kafka_partition=0", 2, "end"},
		{"where=1&limit=3", 3, "limit"},
		{"scan=5&key=none", 0, "scan"},
		{"partition=1&at=3", 4, "end"},
		{"partition=1&at=3&order=oldest", 7, "end"},
		{"at=-1h&order=oldest", 40, "end"},
		{"at=-1h", 0, "end"},
	} {
		got := want[browseAnswer](a, "GET", "/api/topics/t/records?"+c.query, "", 200)
		if len(got.Records) != c.want || got.Why != c.why || got.Matched != int64(c.want) {
			t.Errorf("%s: %d records, %s: %+v", c.query, len(got.Records), got.Why, got.browseEnd)
		}
	}
	for _, bad := range []string{"order=x", "partition=4", "partition=x", "limit=0", "limit=1001", "scan=x", "cursor=x", "at=soon", "where=nothing", "where=)", "follow=true&order=oldest"} {
		want[apiError](a, "GET", "/api/topics/t/records?"+bad, "", 400)
	}
	want[apiError](a, "GET", "/api/topics/t/records?follow=true", "", 406)
	want[apiError](a, "GET", "/api/topics/none/records", "", 404)
	got := want[browseAnswer](a, "GET", "/api/topics/t/records?limit=1", "", 200)
	if v := got.Records[0].Value; v.Form != "json" || v.Text != `{"n":39,"big":18446744073709551615,"n":39}` {
		t.Errorf("digits and names: %+v", v)
	}
	a.produce("t", 0, "", "\x00\x00\x00\x00\x63junk")
	got = want[browseAnswer](a, "GET", "/api/topics/t/records?partition=0&limit=1", "", 200)
	if v := got.Records[0]; v.Key.Form != "null" || v.Value.SchemaID != 99 || v.Value.Reason == "" || !strings.HasPrefix(v.Value.Wire, "0000000063") {
		t.Errorf("an unknown schema: %+v", v)
	}
}

// TestConsoleStream reads events: a search, and what comes in.
func TestConsoleStream(t *testing.T) {
	a := asks{t: t, n: openNode(t)}
	want[map[string]any](a, "POST", "/api/topics", `{"name":"t","partitions":2}`, 200)
	a.produce("t", 0, "k", "one")
	w := a.raw("GET", "/api/topics/t/records", "", "Accept", "text/event-stream")
	if text := w.Body.String(); !strings.Contains(text, "event: record\ndata: {\"partition\":0") || !strings.Contains(text, "event: done\ndata: {\"scanned\":1,\"matched\":1") {
		t.Errorf("a search:\n%s", text)
	}
	srv := httptest.NewServer(a.n.web.Handler)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/topics/t/records?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func(prefix string) string {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), prefix) {
				return lines.Text()
			}
		}
		t.Fatalf("the stream ended before %q: %v", prefix, lines.Err())
		return ""
	}
	next("event: following")
	a.produce("t", 1, "k", "two")
	next("event: record")
	if data := next("data: "); !strings.Contains(data, `"text":"two"`) {
		t.Errorf("followed: %s", data)
	}
	cancel()
}

func TestConsoleGroups(t *testing.T) {
	a := asks{t: t, n: openNode(t)}
	want[map[string]any](a, "POST", "/api/topics", `{"name":"t","partitions":2}`, 200)
	for i := range 10 {
		a.produce("t", i%2, "", "x")
	}
	dry := want[seekAnswer](a, "POST", "/api/groups/g/offsets", `{"topic":"t","to":"3","dry_run":true}`, 200)
	if len(dry.Partitions) != 2 || dry.Partitions[0].Before != nil || dry.Partitions[0].After != 3 || dry.Partitions[0].Skipped != 3 {
		t.Errorf("before: %+v", dry)
	}
	if all := want[[]groupInfo](a, "GET", "/api/groups", "", 200); len(all) != 0 {
		t.Errorf("a dry run made %+v", all)
	}
	want[seekAnswer](a, "POST", "/api/groups/g/offsets", `{"topic":"t","to":"3"}`, 200)
	g := want[groupDetail](a, "GET", "/api/groups/g", "", 200)
	if g.Lag != 4 || len(g.Partitions) != 2 || g.Partitions[1].Committed != 3 || g.State == "" {
		t.Errorf("group: %+v", g)
	}
	want[seekAnswer](a, "POST", "/api/groups/g/offsets", `{"topic":"t","to":"-1h","partition":0}`, 200)
	if all := want[[]groupInfo](a, "GET", "/api/groups?topic=t", "", 200); len(all) != 1 || all[0].Lag != 7 || all[0].Topics[0] != "t" {
		t.Errorf("groups: %+v", all)
	}
	if all := want[[]topicInfo](a, "GET", "/api/topics", "", 200); all[0].Name == "t" && (all[0].Lag != 7 || all[0].Groups != 1) {
		t.Errorf("lag of the topic: %+v", all)
	}
	want[apiError](a, "POST", "/api/groups/g/offsets", `{"topic":"t","to":"soon"}`, 422)
	want[apiError](a, "POST", "/api/groups/g/offsets", `{"topic":"t","to":""}`, 422)
	want[apiError](a, "POST", "/api/groups/g/offsets", `{"topic":"t","to":"end","partition":9}`, 404)
	want[apiError](a, "POST", "/api/groups/g/offsets", `{"topic":"none","to":"end"}`, 404)
	want[apiError](a, "GET", "/api/groups/none", "", 404)
	want[map[string]string](a, "DELETE", "/api/groups/g", "", 200)
	want[apiError](a, "DELETE", "/api/groups/g", "", 404)
}

// rulesOfLists asks for what has much of everybody: it has what alice may describe.
func rulesOfLists(t *testing.T, root, alice asks) {
	t.Helper()
	glance := want[overviewInfo](alice, "GET", "/api/overview", "", 200)
	if !glance.Partial || glance.ClusterGlance != nil || glance.Topics != 1 || glance.Groups != 0 || len(glance.Tables) != 1 || glance.Tables[0].Topic != "mine" {
		t.Errorf("overview for alice: %+v", glance)
	}
	if all := want[overviewInfo](root, "GET", "/api/overview", "", 200); all.Partial || all.ClusterGlance == nil || all.ClusterID == "" || len(all.Tables) != 2 {
		t.Errorf("overview for root: %+v", all)
	}
	if all := want[[]sink.Status](alice, "GET", "/api/tables", "", 200); len(all) != 1 || all[0].Topic != "mine" {
		t.Errorf("tables for alice: %+v", all)
	}
	if all := want[[]sink.Status](root, "GET", "/api/tables", "", 200); len(all) != 2 {
		t.Errorf("tables for root: %+v", all)
	}
	if a, r := want[sessionInfo](alice, "GET", "/api/session", "", 200), want[sessionInfo](root, "GET", "/api/session", "", 200); a.Cluster || !r.Cluster {
		t.Errorf("sessions: %+v, %+v", a, r)
	}
}

// TestConsoleRules asks as a user who may read one topic, and as nobody.
func TestConsoleRules(t *testing.T) {
	n := openNode(t, "--http.auth", "--auth.acl", "--auth.super-users", "User:root")
	for _, name := range []string{"root", "alice"} {
		c, err := auth.NewCredential(auth.SHA256, name, auth.MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.who.users.Alter(t.Context(), []auth.Change{{User: name, Mechanism: auth.SHA256, Set: &c}})[name]; err != nil {
			t.Fatal(err)
		}
	}
	root, alice, nobody := asks{t, n, "root"}, asks{t, n, "alice"}, asks{t: t, n: n}
	for _, topic := range []string{"mine", "other"} {
		want[map[string]any](root, "POST", "/api/topics", `{"name":"`+topic+`","configs":{"tarn.table.formats":"parquet","tarn.table.value.as":"string"}}`, 200)
		root.produce(topic, 0, "k", "v")
	}
	want[seekAnswer](root, "POST", "/api/groups/g/offsets", `{"topic":"mine","to":"start"}`, 200)
	allow := func(op acl.Operation, res acl.Resource, name string) {
		b := acl.Binding{Resource: res, Name: name, Pattern: acl.Literal, Principal: "User:alice", Host: "*", Operation: op, Permission: acl.Allow}
		if err := n.who.rules.Create(t.Context(), []acl.Binding{b})[0]; err != nil {
			t.Fatal(err)
		}
	}
	allow(acl.Read, acl.Topic, "mine")
	if all := want[[]topicInfo](alice, "GET", "/api/topics", "", 200); len(all) != 1 || all[0].Name != "mine" || all[0].Groups != 0 {
		t.Errorf("topics for alice: %+v", all)
	}
	if all := want[[]groupInfo](alice, "GET", "/api/groups", "", 200); len(all) != 0 {
		t.Errorf("groups for alice: %+v", all)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/api/topics/mine", "", 200},
		{"GET", "/api/topics/other", "", 403},
		{"GET", "/api/topics/mine/records", "", 200},
		{"GET", "/api/topics/mine/records?where=1", "", 200},
		{"GET", "/api/topics/mine/records?where=exists(select+1+from+other)", "", 403},
		{"GET", "/api/topics/other/records", "", 403},
		{"GET", "/api/topics/mine/config", "", 403},
		{"PATCH", "/api/topics/mine/config", `{"set":{"retention.ms":"1"}}`, 403},
		{"POST", "/api/topics/mine/records", `{"key":null,"value":{"text":"x"}}`, 403},
		{"POST", "/api/topics/mine/check", `{"key":null,"value":{"text":"x"}}`, 403},
		{"GET", "/api/topics/mine/template", "", 200},
		{"GET", "/api/topics/other/template", "", 403},
		{"POST", "/api/topics", `{"name":"new"}`, 403},
		{"DELETE", "/api/topics/mine", "", 403},
		{"POST", "/api/topics/mine/partitions", `{"total":5}`, 403},
		{"GET", "/api/groups/g", "", 403},
		{"DELETE", "/api/groups/g", "", 403},
		{"POST", "/api/groups/g/offsets", `{"topic":"mine","to":"end"}`, 403},
		{"GET", "/api/overview", "", 200},
		{"GET", "/api/tables", "", 200},
		{"GET", "/api/tables/mine", "", 200},
		{"GET", "/api/tables/other", "", 403},
		{"POST", "/api/tables/mine/flush", "", 403},
		{"GET", "/api/overview/series", "", 403},
		{"GET", "/api/overview/series?name=records", "", 403},
		{"GET", "/api/overview/series?name=topic:other", "", 403},
		{"GET", "/api/overview/series?name=topic:mine&name=group:g", "", 403},
		{"GET", "/api/overview/series?name=topic:mine", "", 200},
		{"GET", "/api/users", "", 403},
		{"PUT", "/api/users/eve", `{"password":"x"}`, 403},
		{"DELETE", "/api/users/root", "", 403},
		{"GET", "/api/quotas", "", 403},
		{"POST", "/api/quotas", `{"entity":[{"type":"user","name":"alice"}],"values":{"producer_byte_rate":1}}`, 403},
		{"GET", "/api/settings", "", 403},
		{"PATCH", "/api/settings", `{"log_level":"debug"}`, 403},
		{"PATCH", "/api/settings", `{"set":{"num.partitions":"2"}}`, 403},
	} {
		if w := alice.raw(c.method, c.path, c.body); w.Code != c.want {
			t.Errorf("alice: %s %s: got %d, want %d: %.300s", c.method, c.path, w.Code, c.want, w.Body)
		}
		if w := nobody.raw(c.method, c.path, c.body, quietHeader, "1"); w.Code != 401 || w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("nobody: %s %s: got %d, want 401 without a window for passwords", c.method, c.path, w.Code)
		}
	}
	rulesOfLists(t, root, alice)
	n.charts.look().Add(time.Now(), map[string]float64{"topic:mine": 1, "topic:other": 2, "group:g": 3, "records": 4})
	charts := want[console.Points](alice, "GET", "/api/overview/series?name=topic:*&name=group:*", "", 200)
	if names := slices.Collect(maps.Keys(charts.Series)); !slices.Equal(names, []string{"topic:mine"}) {
		t.Errorf("charts for alice: %v", names)
	}
	for _, page := range []string{"/console", "/console/topics/mine", "/console/assets/app.js"} {
		if w := nobody.raw("GET", page, ""); w.Code != 200 {
			t.Errorf("%s before signing in: %d", page, w.Code)
		}
	}
}

// TestConsoleSession signs in, works with the cookie, and out.
func TestConsoleSession(t *testing.T) {
	n := openNode(t, "--http.auth", "--kafka.sasl.failure-delay", "0s")
	c, err := auth.NewCredential(auth.SHA256, "pw", auth.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.who.users.Alter(t.Context(), []auth.Change{{User: "a", Mechanism: auth.SHA256, Set: &c}})["a"]; err != nil {
		t.Fatal(err)
	}
	a := asks{t: t, n: n}
	if s := want[sessionInfo](a, "GET", "/api/session", "", 200); !s.Needed || s.SignedIn {
		t.Errorf("before: %+v", s)
	}
	want[apiError](a, "POST", "/api/session", `{"user":"a","password":"no"}`, 401)
	want[apiError](a, "POST", "/api/session", `{"user":"b","password":"pw"}`, 401)
	w := a.raw("POST", "/api/session", `{"user":"a","password":"pw"}`)
	all := w.Result().Cookies()
	if w.Code != 200 || len(all) != 1 || !all[0].HttpOnly || all[0].SameSite != http.SameSiteStrictMode || all[0].Secure {
		t.Fatalf("sign in: %d %+v", w.Code, all)
	}
	cookie := sessionCookie + "=" + all[0].Value
	with := func(method, path string, headers ...string) *httptest.ResponseRecorder {
		return a.raw(method, path, "", append([]string{"Cookie", cookie}, headers...)...)
	}
	if w := with("GET", "/api/topics"); w.Code != 200 {
		t.Errorf("with the cookie: %d", w.Code)
	}
	if w := with("GET", "/subjects"); w.Code != 200 {
		t.Errorf("the registry with the cookie: %d", w.Code)
	}
	if w := with("POST", "/api/topics", "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("a page of another site: %d", w.Code)
	}
	if w := with("GET", "/api/topics", "Authorization", "Basic YTpubw=="); w.Code != 401 {
		t.Errorf("a wrong password beside the cookie: %d", w.Code)
	}
	n.tokens.now = func() time.Time { return time.Now().Add(sessionLife + time.Minute) }
	if w := with("GET", "/api/topics"); w.Code != 401 {
		t.Errorf("after the session's life: %d", w.Code)
	}
	n.tokens.now = time.Now
	if w := with("DELETE", "/api/session"); w.Code != 204 || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign out: %d %+v", w.Code, w.Result().Cookies())
	}
	cookie = cookie[:len(cookie)-12] + "AAAAAAAAAAAA"
	if w := with("GET", "/api/topics"); w.Code != 401 {
		t.Errorf("a forged cookie: %d", w.Code)
	}
	open := asks{t: t, n: openNode(t)}
	if s := want[sessionInfo](open, "GET", "/api/session", "", 200); s.Needed || !s.SignedIn {
		t.Errorf("where nobody is asked: %+v", s)
	}
	want[apiError](open, "POST", "/api/session", `{"user":"a","password":"pw"}`, 409)
}

func TestConsoleSecurityAndSettings(t *testing.T) {
	a := asks{t: t, n: openNode(t)}
	want[map[string]string](a, "PUT", "/api/users/alice", `{"password":"pw"}`, 200)
	want[apiError](a, "PUT", "/api/users/alice", `{"password":""}`, 422)
	if all := want[[]userInfo](a, "GET", "/api/users", "", 200); len(all) != 1 || all[0].Name != "alice" || len(all[0].Credentials) != 2 {
		t.Errorf("users: %+v", all)
	}
	if !a.n.who.users.Verify("alice", "pw") {
		t.Error("alice cannot sign in")
	}
	want[map[string]string](a, "DELETE", "/api/users/alice", "", 200)
	want[apiError](a, "DELETE", "/api/users/alice", "", 404)

	want[quotaInfo](a, "POST", "/api/quotas", `{"entity":[{"type":"user","name":"alice"}],"values":{"producer_byte_rate":1024}}`, 200)
	want[quotaInfo](a, "POST", "/api/quotas", `{"entity":[{"type":"client-id","name":null}],"values":{"request_percentage":1.5}}`, 200)
	if all := want[[]quotaInfo](a, "GET", "/api/quotas", "", 200); len(all) != 2 {
		t.Errorf("quotas: %+v", all)
	}
	want[quotaInfo](a, "POST", "/api/quotas", `{"entity":[{"type":"user","name":"alice"}],"values":{"producer_byte_rate":null}}`, 200)
	if all := want[[]quotaInfo](a, "GET", "/api/quotas", "", 200); len(all) != 1 || all[0].Entity[0].Name != nil || *all[0].Values["request_percentage"] != 1.5 {
		t.Errorf("quotas afterwards: %+v", all)
	}
	want[apiError](a, "POST", "/api/quotas", `{"entity":[],"values":{}}`, 422)
	want[apiError](a, "POST", "/api/quotas", `{"entity":[{"type":"user","name":"alice"}],"values":{"speed":1}}`, 422)

	want[map[string]any](a, "PATCH", "/api/settings", `{"log_level":"debug"}`, 200)
	s := want[settingsInfo](a, "GET", "/api/settings", "", 200)
	if s.LogLevel != "debug" || len(s.Configs) < 20 || len(s.Listeners) != 1 {
		t.Errorf("settings: %s, %d configs, %v", s.LogLevel, len(s.Configs), s.Listeners)
	}
	want[map[string]any](a, "PATCH", "/api/settings", `{"set":{"log.retention.ms":"777"}}`, 200)
	for _, c := range want[settingsInfo](a, "GET", "/api/settings", "", 200).Configs {
		if c.Name == "log.retention.ms" && (c.Value != "777" || c.Source != "set on this broker") {
			t.Errorf("log.retention.ms: %+v", c)
		}
	}
	for _, bad := range []string{`{}`, `{"log_level":"loud"}`, `{"set":{"log.retention.ms":"x"}}`} {
		want[apiError](a, "PATCH", "/api/settings", bad, 422)
	}
}

func TestConsoleOverview(t *testing.T) {
	a := asks{t: t, n: openNode(t)}
	want[map[string]any](a, "POST", "/api/topics", `{"name":"t"}`, 200)
	o := want[overviewInfo](a, "GET", "/api/overview", "", 200)
	if o.Storage != "memory" || o.Topics != 1 || o.Partitions != 1 || len(o.Checks) != 4 || !o.Checks[0].OK || !o.Checks[1].OK {
		t.Errorf("overview: %+v", o)
	}
	for _, bad := range []string{"span=x", "span=25h", "span=1ms"} {
		want[apiError](a, "GET", "/api/overview/series?"+bad, "", 400)
	}
	s := &chartSampler{n: a.n}
	now := time.Now()
	s.sample(t.Context(), now)
	a.produce("t", 0, "", "x")
	a.produce("t", 0, "", "y")
	got := s.sample(t.Context(), now.Add(time.Second))
	if got["records"] != 2 || got["topic:t"] != 2 || got["lag"] != 0 {
		t.Errorf("a sample: %v", got)
	}
}
