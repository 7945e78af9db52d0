package api_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

// need is one operation on a kind of resource, and the code of its lack.
type need struct {
	rule string // "read topic"
	code int16
}

// access is what Kafka wants for an API in versions from to to; several rows of
// a key for one version are alternatives.
type access struct {
	key      int16
	from, to int16
	needs    []need
}

const (
	noTopic, noGroup, noCluster, noTxn = 29, 30, 31, 53
	every                              = 99 // versions
)

// accessTable is Kafka's table of authorisation: what every API needs. Lists
// (16, 66) and DescribeCluster (60) leave out instead of refusing, and have
// tests of their own.
func accessTable() []access {
	one := func(key int16, rule string, code int16) access {
		return access{key, 0, every, []need{{rule, code}}}
	}
	return []access{
		one(0, "write topic", noTopic),
		one(1, "read topic", noTopic),
		one(2, "describe topic", noTopic),
		one(3, "describe topic", noTopic),
		{8, 0, every, []need{{"read group", noGroup}, {"read topic", noTopic}}},
		{9, 0, every, []need{{"describe group", noGroup}, {"describe topic", noTopic}}},
		one(10, "describe group", noGroup),
		one(11, "read group", noGroup),
		one(12, "read group", noGroup),
		one(13, "read group", noGroup),
		one(14, "read group", noGroup),
		one(15, "describe group", noGroup),
		{16, 0, every, nil},
		{17, 0, every, nil},
		{18, 0, every, nil},
		one(19, "create topic", noTopic),
		one(19, "create cluster", noTopic),
		one(20, "delete topic", noTopic),
		one(21, "delete topic", noTopic),
		one(22, "idempotent-write cluster", noCluster),
		one(22, "write topic", noCluster),
		one(23, "describe topic", noTopic),
		one(23, "cluster-action cluster", noTopic),
		{24, 0, 3, []need{{"write transactional-id", noTxn}, {"write topic", noTopic}}},
		{24, 4, every, []need{{"cluster-action cluster", noCluster}}},
		{25, 0, every, []need{{"write transactional-id", noTxn}, {"read group", noGroup}}},
		one(26, "write transactional-id", noTxn),
		one(27, "alter cluster", noCluster),
		one(27, "cluster-action cluster", noCluster),
		{28, 0, every, []need{{"write transactional-id", noTxn}, {"read group", noGroup}, {"read topic", noTopic}}},
		one(29, "describe cluster", noCluster),
		one(30, "alter cluster", noCluster),
		one(31, "alter cluster", noCluster),
		one(32, "describe-configs topic", noTopic),
		one(33, "alter-configs topic", noTopic),
		one(34, "alter cluster", noCluster),
		{35, 0, 2, nil}, // no room for a code: nothing is listed
		{35, 3, every, []need{{"describe cluster", noCluster}}},
		{36, 0, every, nil},
		one(37, "alter topic", noTopic),
		{38, 0, every, nil},
		{39, 0, every, nil},
		{40, 0, every, nil},
		{41, 0, every, nil},
		one(42, "delete group", noGroup),
		one(43, "alter cluster", noCluster),
		one(44, "alter-configs topic", noTopic),
		one(45, "alter cluster", noCluster),
		one(46, "describe cluster", noCluster),
		{47, 0, every, []need{{"delete group", noGroup}, {"read topic", noTopic}}},
		one(48, "describe-configs cluster", noCluster),
		one(49, "alter-configs cluster", noCluster),
		one(50, "describe cluster", noCluster),
		one(51, "alter cluster", noCluster),
		one(57, "alter cluster", noCluster),
		{60, 0, every, nil},
		one(61, "read topic", noTopic),
		one(65, "describe transactional-id", noTxn),
		{66, 0, every, nil},
		{68, 0, 0, []need{{"read group", noGroup}, {"describe topic", noTopic}}},
		{68, 1, every, []need{{"read group", noGroup}}}, // asked with a regular expression
		{69, 0, every, []need{{"describe group", noGroup}}},
		{71, 0, every, nil},
		{72, 0, every, nil},
		one(74, "describe-configs cluster", noCluster),
		one(75, "describe topic", noTopic),
		{76, 0, every, []need{{"read group", noGroup}, {"describe topic", noTopic}}},
		{77, 0, every, []need{{"describe group", noGroup}, {"describe topic", noTopic}}},
		{78, 0, every, []need{{"read group", noGroup}, {"read topic", noTopic}}},
		{79, 0, every, []need{{"read group", noGroup}, {"read topic", noTopic}}},
		{88, 0, every, []need{{"read group", noGroup}, {"describe topic", noTopic}}},
		{89, 0, every, []need{{"describe group", noGroup}, {"describe topic", noTopic}}},
		one(90, "describe group", noGroup), // of all topics
		{91, 0, every, []need{{"read group", noGroup}, {"read topic", noTopic}}},
		{92, 0, every, []need{{"delete group", noGroup}, {"read topic", noTopic}}},
	}
}

// guardedBroker asks who is there, has users root, alice and bob, whose
// passwords are their names, and rules; root needs none.
func guardedBroker(t *testing.T, more ...brokertest.Option) (*brokertest.Broker, *acl.Rules) {
	t.Helper()
	e := memory.New()
	users, err := auth.OpenUsers(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	var changes []auth.Change
	for _, name := range []string{"root", "alice", "bob"} {
		c, err := auth.NewCredential(auth.SHA256, name, auth.MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, auth.Change{User: name, Mechanism: auth.SHA256, Set: &c})
	}
	for name, err := range users.Alter(t.Context(), changes) {
		if err != nil {
			t.Fatal(name, err)
		}
	}
	rules, err := acl.Open(t.Context(), e, acl.Config{Super: []string{"User:root"}})
	if err != nil {
		t.Fatal(err)
	}
	return brokertest.New(t, append([]brokertest.Option{brokertest.WithConfig(func(c *broker.Config) {
		c.Engine, c.Users, c.Rules = e, users, rules
		c.Listeners[0].SASL = &auth.SASL{Mechanisms: []string{auth.Plain}}
		c.Log = nil // thousands of refusals
	})}, more...)...), rules
}

// login signs a raw client in.
func login(t *testing.T, b *brokertest.Broker, user string) *raw {
	t.Helper()
	r := dial(t, b)
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Mechanism = auth.Plain
	do[*kmsg.SASLHandshakeResponse](r, 1, hello)
	token := kmsg.NewPtrSASLAuthenticateRequest()
	token.SASLAuthBytes = []byte("\x00" + user + "\x00" + user)
	if resp := do[*kmsg.SASLAuthenticateResponse](r, 2, token); resp.ErrorCode != 0 {
		t.Fatalf("login of %s: %d", user, resp.ErrorCode)
	}
	return r
}

// allow gives rules in place of all before: "read topic" on every name, or
// "read topic name".
func allow(t *testing.T, rules *acl.Rules, user string, lines ...string) {
	t.Helper()
	if _, err := rules.Delete(t.Context(), []acl.Filter{{}}); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		w := append(strings.Fields(line), acl.Wildcard)
		b := acl.Binding{Principal: "User:" + user, Host: acl.Wildcard, Pattern: acl.Literal, Permission: acl.Allow, Name: w[2]}
		if err := b.Operation.UnmarshalText([]byte(w[0])); err != nil {
			t.Fatal(err)
		}
		if err := b.Resource.UnmarshalText([]byte(w[1])); err != nil {
			t.Fatal(err)
		}
		if b.Resource == acl.Cluster {
			b.Name = acl.ClusterName
		}
		if err := rules.Create(t.Context(), []acl.Binding{b})[0]; err != nil {
			t.Fatal(err)
		}
	}
}

// refusals are the codes of missing rules in an answer.
func refusals(v reflect.Value) (out []int16) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return refusals(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, refusals(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f, name := v.Field(i), v.Type().Field(i).Name
			if name == "ErrorCode" {
				if c := int16(f.Int()); c == noTopic || c == noGroup || c == noCluster || c == noTxn {
					out = append(out, c)
				}
				continue
			}
			out = append(out, refusals(f)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestAccess sends every API in every version that is served as nobody, as
// somebody without rules, with all rules but one, and with those it needs.
func TestAccess(t *testing.T) {
	b, rules := guardedBroker(t)
	root := login(t, b, "root")
	w := &world{topic: create(t, b, "t", 2, nil), client: root}
	root.mustProduce(w.topic, "a", "b")
	alice := login(t, b, "alice")
	table := map[int16][]access{}
	for _, a := range accessTable() {
		table[a.key] = append(table[a.key], a)
	}
	requests := calls()
	n := 0
	for _, a := range wire.Served() {
		if len(table[a.Key]) == 0 {
			t.Errorf("%s (%d) is served, and the table of access does not say what it needs", a.Name, a.Key)
			continue
		}
		if a.Key == 17 || a.Key == 36 {
			continue // they come before anybody is known: TestSASL
		}
		for v := a.Min; v <= a.Max; v++ {
			send := func(lines ...string) []int16 {
				t.Helper()
				n++
				w.version, w.fresh = v, fmt.Sprintf("fresh-%d", n)
				create(t, b, w.fresh, 1, nil)
				w.message = batch(t, record.Options{}, "x")
				if v < 3 {
					w.message = messageSet(t, min(v, 1), w.message)
				}
				req := kmsg.RequestForKey(a.Key)
				req.SetVersion(v)
				if d, ok := req.(interface{ Default() }); ok {
					d.Default()
				}
				requests[a.Key].fill(w, req)
				req.SetVersion(v)
				allow(t, rules, "alice", lines...)
				return refusals(reflect.ValueOf(do[kmsg.Response](alice, v, req)))
			}
			for _, row := range table[a.Key] {
				if v < row.from || v > row.to {
					continue
				}
				checkAccess(t, fmt.Sprintf("%s v%d", a.Name, v), row.needs, send)
			}
		}
		if a.Key == wire.KeyApiVersions {
			continue
		}
		stranger := dial(t, b)
		req := kmsg.RequestForKey(a.Key)
		req.SetVersion(a.Max)
		stranger.send(req)
		if !stranger.closed() {
			t.Errorf("%s: a client that has not said who it is gets an answer", a.Name)
		}
	}
}

// checkAccess tries one row of the table.
func checkAccess(t *testing.T, what string, needs []need, send func(...string) []int16) {
	t.Helper()
	var all []string
	for _, n := range needs {
		all = append(all, n.rule)
	}
	if got := send(all...); len(got) > 0 {
		t.Errorf("%s with %q: refused with %v", what, all, got)
	}
	for i, n := range needs {
		but := slices.Delete(slices.Clone(all), i, i+1)
		if got := send(but...); !slices.Equal(got, []int16{n.code}) {
			t.Errorf("%s without %q: got %v, want %d", what, n.rule, got, n.code)
		}
	}
	if len(needs) > 1 {
		if got := send(); !slices.Equal(got, []int16{needs[0].code}) {
			t.Errorf("%s without any rule: got %v, want %d", what, got, needs[0].code)
		}
	}
}
