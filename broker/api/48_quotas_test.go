package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/wire"
)

// limit sets a quota of a client id ("" is the default) and checks the answer.
func (r *raw) limit(client, key string, value float64) {
	r.t.Helper()
	req := kmsg.NewPtrAlterClientQuotasRequest()
	e := kmsg.NewAlterClientQuotasRequestEntry()
	p := kmsg.NewAlterClientQuotasRequestEntryEntity()
	if p.Type = "client-id"; client != "" {
		p.Name = &client
	}
	e.Entity = append(e.Entity, p)
	op := kmsg.NewAlterClientQuotasRequestEntryOp()
	op.Key, op.Value, op.Remove = key, value, value == 0
	e.Ops = append(e.Ops, op)
	req.Entries = append(req.Entries, e)
	if code := do[*kmsg.AlterClientQuotasResponse](r, 1, req).Entries[0].ErrorCode; code != 0 {
		r.t.Fatal(wire.Code(code))
	}
}

// named makes the client send another client id.
func (r *raw) named(id string) *raw {
	r.form = kmsg.NewRequestFormatter(kmsg.FormatterClientID(id))
	return r
}

// TestProduceQuota: who produces too fast is told so at once and not read from
// for as long; others are not disturbed.
func TestProduceQuota(t *testing.T) {
	b := brokertest.New(t)
	admin := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	admin.limit("fast", "producer_byte_rate", 10_000)
	fast := dial(t, b).named("fast")
	big := batch(t, record.Options{}, strings.Repeat("x", 102_000))
	begun := time.Now()
	resp := do[*kmsg.ProduceResponse](fast, 13, produceTo(tp, 0, big))
	answered := time.Since(begun)
	throttle := time.Duration(resp.ThrottleMillis) * time.Millisecond
	if resp.Topics[0].Partitions[0].ErrorCode != 0 || throttle < 100*time.Millisecond || throttle > 2*time.Second {
		t.Errorf("code %d, throttled for %v", resp.Topics[0].Partitions[0].ErrorCode, throttle)
	}
	if answered > throttle {
		t.Errorf("answered after %v, want at once", answered)
	}
	do[*kmsg.ApiVersionsResponse](fast, 0, kmsg.NewPtrApiVersionsRequest())
	if d := time.Since(begun); d < throttle-time.Millisecond {
		t.Errorf("the next request was read after %v, want %v", d, throttle)
	}
	if resp := do[*kmsg.ProduceResponse](admin, 13, produceTo(tp, 0, slices.Clone(big))); resp.ThrottleMillis != 0 {
		t.Errorf("another client waits %d ms", resp.ThrottleMillis)
	}
}

// TestFetchQuota: who has read too much gets no records until it may, and then
// all of them; its session goes on.
func TestFetchQuota(t *testing.T) {
	b := brokertest.New(t)
	admin := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	one := batch(t, record.Options{}, strings.Repeat("x", 10_000))
	for range 12 {
		do[*kmsg.ProduceResponse](admin, 13, produceTo(tp, 0, slices.Clone(one)))
	}
	admin.limit("", "consumer_byte_rate", 10_000) // about 101,000 at once
	r := dial(t, b).named("reader")
	read, slowed := 0, 0
	req := fetchFrom(tp, 0, 0)
	for read < 12 {
		resp := do[*kmsg.FetchResponse](r, 18, req)
		if resp.ErrorCode != 0 {
			t.Fatal(wire.Code(resp.ErrorCode))
		}
		if resp.ThrottleMillis > 0 {
			slowed++
			if len(resp.Topics) != 0 {
				t.Error("records come with the throttle")
			}
			admin.limit("", "consumer_byte_rate", 0) // or it would go on for ten seconds
		}
		for _, st := range resp.Topics {
			read += len(values(t, st.Partitions[0].RecordBatches, 0))
		}
		epoch := req.SessionEpoch + 1
		req = fetchFrom(tp, 0, int64(read))
		if resp.SessionID != 0 {
			req.SessionID, req.SessionEpoch = resp.SessionID, epoch
		}
	}
	if slowed == 0 {
		t.Error("never slowed down")
	}
}

// TestMutationQuota: strict versions refuse, older ones are kept waiting.
func TestMutationQuota(t *testing.T) {
	b := brokertest.New(t)
	admin := dial(t, b)
	admin.limit("maker", "controller_mutation_rate", 1)
	r := dial(t, b).named("maker")
	n := 0
	createTopics := func(version int16, partitions int32) *kmsg.CreateTopicsResponse {
		n++
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = fmt.Sprint("t", n), partitions, 1
		req.Topics = append(req.Topics, rt)
		return do[*kmsg.CreateTopicsResponse](r, version, req)
	}
	if resp := createTopics(7, 12); resp.Topics[0].ErrorCode != 0 || resp.ThrottleMillis != 0 {
		t.Fatalf("the first: %+v", resp)
	}
	resp := createTopics(7, 1)
	if wire.Code(resp.Topics[0].ErrorCode) != wire.ThrottlingQuotaExceeded || resp.ThrottleMillis <= 0 {
		t.Errorf("strict: %+v", resp)
	}
	grow := kmsg.NewPtrCreatePartitionsRequest()
	gt := kmsg.NewCreatePartitionsRequestTopic()
	gt.Topic, gt.Count = "t1", 100
	grow.Topics = append(grow.Topics, gt)
	grow.ValidateOnly = true
	if resp := do[*kmsg.CreatePartitionsResponse](r, 3, grow); resp.Topics[0].ErrorCode != 0 {
		t.Errorf("validated only: %v", wire.Code(resp.Topics[0].ErrorCode))
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.TopicNames = []string{"t1"}
	dels := do[*kmsg.DeleteTopicsResponse](r, 4, del)
	if dels.Topics[0].ErrorCode != 0 || dels.ThrottleMillis < 10_000 {
		t.Errorf("permissive: %+v", dels)
	}
}

// TestRequestQuota: time of the broker's itself has a limit, a second at once.
func TestRequestQuota(t *testing.T) {
	b := brokertest.New(t)
	create(t, b, "t", 2000, nil)
	admin := dial(t, b)
	admin.limit("busy", "request_percentage", 0.0001)
	r := dial(t, b).named("busy")
	req := kmsg.NewPtrMetadataRequest()
	resp := do[*kmsg.MetadataResponse](r, 12, req)
	if resp.ThrottleMillis <= 0 || resp.ThrottleMillis > 1000 {
		t.Errorf("throttled for %d ms", resp.ThrottleMillis)
	}
	admin.limit("busy", "request_percentage", 0)
	if resp := do[*kmsg.MetadataResponse](r, 12, req); resp.ThrottleMillis != 0 {
		t.Errorf("without a quota: %d ms", resp.ThrottleMillis)
	}
}

// TestConnectionQuota: an address that connects too often finds connections
// closed, after a while and without a word.
func TestConnectionQuota(t *testing.T) {
	b := brokertest.New(t)
	admin := dial(t, b)
	req := kmsg.NewPtrAlterClientQuotasRequest()
	e := kmsg.NewAlterClientQuotasRequestEntry()
	e.Entity = append(e.Entity, kmsg.AlterClientQuotasRequestEntryEntity{Type: "ip", Name: ptr("127.0.0.1")})
	e.Ops = append(e.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: "connection_creation_rate", Value: 1})
	req.Entries = append(req.Entries, e)
	if code := do[*kmsg.AlterClientQuotasResponse](admin, 1, req).Entries[0].ErrorCode; code != 0 {
		t.Fatal(wire.Code(code))
	}
	ask := kmsg.NewPtrApiVersionsRequest()
	for range 10 {
		do[*kmsg.ApiVersionsResponse](dial(t, b), 0, ask)
	}
	begun := time.Now()
	if r := dial(t, b); !r.closed() {
		t.Error("the eleventh is served")
	}
	if d := time.Since(begun); d < 50*time.Millisecond {
		t.Errorf("closed after %v: the client comes again at once", d)
	}
	do[*kmsg.ApiVersionsResponse](admin, 0, ask)
}

// TestQuotaAdmin sets, finds and removes quotas with kadm.
func TestQuotaAdmin(t *testing.T) {
	b := brokertest.New(t)
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	adm := kadm.NewClient(c)
	part := func(kind, name string) kadm.ClientQuotaEntityComponent {
		p := kadm.ClientQuotaEntityComponent{Type: kind}
		if name != "" {
			p.Name = &name
		}
		return p
	}
	entry := func(key string, value float64, parts ...kadm.ClientQuotaEntityComponent) kadm.AlterClientQuotaEntry {
		return kadm.AlterClientQuotaEntry{Entity: parts, Ops: []kadm.AlterClientQuotaOp{{Key: key, Value: value}}}
	}
	entries := []kadm.AlterClientQuotaEntry{
		entry("producer_byte_rate", 1000, part("user", "alice"), part("client-id", "")),
		entry("producer_byte_rate", 2000, part("user", "alice")),
		entry("request_percentage", 0.5, part("client-id", "app")),
		entry("connection_creation_rate", 7, part("ip", "")),
		entry("connection_creation_rate", 7, part("user", "alice")),
		entry("producer_byte_rate", 1, part("user", "a"), part("user", "b")),
		entry("producer_byte_rate", 1, part("group", "g")),
		entry("producer_byte_rate", 1),
	}
	altered, err := adm.AlterClientQuotas(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range altered {
		if (a.Err == nil) != (i < 4) {
			t.Errorf("entry %d: %v %s", i, a.Err, a.ErrMessage)
		}
	}
	for _, f := range []struct {
		name   string
		strict bool
		parts  []kadm.DescribeClientQuotaComponent
		want   string
	}{
		{"all", false, nil, "user=alice,client-id=<default>:producer_byte_rate=1000 user=alice:producer_byte_rate=2000 client-id=app:request_percentage=0.5 ip=<default>:connection_creation_rate=7"},
		{"none strictly", true, nil, ""},
		{"of a user", false, []kadm.DescribeClientQuotaComponent{{Type: "user", MatchType: 0, MatchName: ptr("alice")}}, "user=alice,client-id=<default>:producer_byte_rate=1000 user=alice:producer_byte_rate=2000"},
		{"of a user only", true, []kadm.DescribeClientQuotaComponent{{Type: "user", MatchType: 0, MatchName: ptr("alice")}}, "user=alice:producer_byte_rate=2000"},
		{"any client", false, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchType: 2}}, "user=alice,client-id=<default>:producer_byte_rate=1000 client-id=app:request_percentage=0.5"},
		{"default client", false, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchType: 1}}, "user=alice,client-id=<default>:producer_byte_rate=1000"},
	} {
		got, err := adm.DescribeClientQuotas(t.Context(), f.strict, f.parts)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		var words, want []string
		for _, q := range got {
			var parts []string
			for _, p := range q.Entity {
				name := "<default>"
				if p.Name != nil {
					name = *p.Name
				}
				parts = append(parts, p.Type+"="+name)
			}
			for _, v := range q.Values {
				words = append(words, fmt.Sprintf("%s:%s=%v", strings.Join(parts, ","), v.Key, v.Value))
			}
		}
		slices.Sort(words)
		want = strings.Fields(f.want)
		slices.Sort(want)
		if !slices.Equal(words, want) {
			t.Errorf("%s: %v, want %v", f.name, words, want)
		}
	}
	for _, parts := range [][]kadm.DescribeClientQuotaComponent{
		{{Type: "user", MatchType: 2}, {Type: "user", MatchType: 1}},
		{{Type: "user", MatchType: 2}, {Type: "ip", MatchType: 2}},
		{{Type: "user", MatchType: 0}},
		{{Type: "user", MatchType: 5}},
		{{Type: "", MatchType: 2}},
		{{Type: "group", MatchType: 2}},
	} {
		if got, err := adm.DescribeClientQuotas(t.Context(), false, parts); err == nil {
			t.Errorf("%+v: %+v", parts, got)
		}
	}
}
