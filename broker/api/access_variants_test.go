package api_test

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
)

// variant is a request whose needs depend on what is in it (KafkaApis and
// ControllerApis of Kafka, request by request).
type variant struct {
	name  string
	key   int16
	needs []need
	fill  func(req kmsg.Request)
}

func configVariants() []variant {
	resource := func(kind kmsg.ConfigResourceType, name string) func(kmsg.Request) {
		return func(req kmsg.Request) {
			switch q := req.(type) {
			case *kmsg.DescribeConfigsRequest:
				q.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name}}
			case *kmsg.AlterConfigsRequest:
				q.Resources, q.ValidateOnly = []kmsg.AlterConfigsRequestResource{{ResourceType: kind, ResourceName: name}}, true
			case *kmsg.IncrementalAlterConfigsRequest:
				q.Resources, q.ValidateOnly = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kind, ResourceName: name}}, true
			}
		}
	}
	var out []variant
	for _, r := range []struct {
		name, on string
		kind     kmsg.ConfigResourceType
		resource string
		code     int16
	}{
		{"of a broker", "cluster", kmsg.ConfigResourceTypeBroker, "1", noCluster},
		{"of all brokers", "cluster", kmsg.ConfigResourceTypeBroker, "", noCluster},
		{"of a logger", "cluster", kmsg.ConfigResourceTypeBrokerLogger, "1", noCluster},
		{"of client metrics", "cluster", kmsg.ConfigResourceTypeClientMetrics, "m", noCluster},
		{"of a group", "group", kmsg.ConfigResourceTypeGroupConfig, "g", noGroup},
	} {
		out = append(out,
			variant{"configs " + r.name, 32, []need{{"describe-configs " + r.on, r.code}}, resource(r.kind, r.resource)},
			variant{"set configs " + r.name, 33, []need{{"alter-configs " + r.on, r.code}}, resource(r.kind, r.resource)},
			variant{"change configs " + r.name, 44, []need{{"alter-configs " + r.on, r.code}}, resource(r.kind, r.resource)})
	}
	return out
}

func variants(t *testing.T, tp *topic.Topic) []variant {
	find := func(kind int8) func(kmsg.Request) {
		return func(req kmsg.Request) {
			q := req.(*kmsg.FindCoordinatorRequest)
			q.CoordinatorType, q.CoordinatorKeys = kind, []string{"k"}
			if kind == 2 {
				q.CoordinatorKeys = []string{"g:AAAAAAAAAAAAAAAAAAAAAA:0"}
			}
		}
	}
	return append(configVariants(),
		variant{"coordinator of transactions", 10, []need{{"describe transactional-id", noTxn}}, find(1)},
		variant{"coordinator of share groups' states", 10, []need{{"cluster-action cluster", noCluster}}, find(2)},
		variant{"producer id for transactions", 22, []need{{"write transactional-id", noTxn}}, func(req kmsg.Request) {
			q := req.(*kmsg.InitProducerIDRequest)
			q.TransactionalID, q.TransactionTimeoutMillis, q.ProducerID, q.ProducerEpoch = ptr("tx"), 60_000, -1, -1
		}},
		variant{"transactional records", 0, []need{{"write transactional-id", noTxn}, {"write topic", noTopic}}, func(req kmsg.Request) {
			*req.(*kmsg.ProduceRequest) = *produceTo(tp, 0, batch(t, record.Options{Transactional: true, Producer: &record.Producer{}}, "x"))
			req.(*kmsg.ProduceRequest).TransactionID = ptr("tx")
		}},
		variant{"fetch of a replica", 1, []need{{"cluster-action cluster", noTopic}}, func(req kmsg.Request) {
			*req.(*kmsg.FetchRequest) = *waitless(fetchFrom(tp, 0, 0))
			req.(*kmsg.FetchRequest).ReplicaState.ID = 2
		}},
		variant{"metadata that makes a topic", 3, []need{{"describe topic", noTopic}, {"create topic", noTopic}}, func(req kmsg.Request) {
			q := req.(*kmsg.MetadataRequest)
			q.Topics, q.AllowAutoTopicCreation = []kmsg.MetadataRequestTopic{{Topic: ptr("not-there")}}, true
		}},
	)
}

// TestAccessByContent sends requests that need other rules than TestAccess's do,
// for what they ask about.
func TestAccessByContent(t *testing.T) {
	b, rules := guardedBroker(t)
	alice := login(t, b, "alice")
	tp := create(t, b, "t", 1, nil)
	for _, v := range variants(t, tp) {
		send := func(lines ...string) []int16 {
			t.Helper()
			allow(t, rules, "alice", lines...)
			req := kmsg.RequestForKey(v.key)
			if d, ok := req.(interface{ Default() }); ok {
				d.Default()
			}
			v.fill(req)
			version := req.MaxVersion()
			if v.key == 3 {
				version = 9 // by name, without an id
			}
			got := refusals(reflect.ValueOf(do[kmsg.Response](alice, version, req)))
			if made := b.Topics().View().ByName("not-there"); made != nil {
				if err := b.Topics().Delete(t.Context(), made.ID); err != nil {
					t.Fatal(err)
				}
			}
			return got
		}
		checkAccess(t, v.name, v.needs, send)
	}
}

// TestDeletionRefused looks at what deletion tells those who may not do it.
func TestDeletionRefused(t *testing.T) {
	b, rules := guardedBroker(t)
	alice := login(t, b, "alice")
	tp := create(t, b, "there", 1, nil)
	byName := func(name string) kmsg.DeleteTopicsRequestTopic { return kmsg.DeleteTopicsRequestTopic{Topic: &name} }
	byID := kmsg.DeleteTopicsRequestTopic{TopicID: tp.ID}
	for _, c := range []struct {
		what  string
		rules []string
		ask   kmsg.DeleteTopicsRequestTopic
		code  int16
		named bool
	}{
		{"nobody's, not there", nil, byName("nowhere"), noTopic, true},
		{"nobody's", nil, byName("there"), noTopic, true},
		{"nobody's, by id", nil, byID, noTopic, false},
		{"described, not there", []string{"describe topic"}, byName("nowhere"), 3, true},
		{"described", []string{"describe topic"}, byName("there"), noTopic, true},
		{"described, by id", []string{"describe topic"}, byID, noTopic, true},
		{"not described, by name", []string{"delete topic", "-describe topic"}, byName("there"), noTopic, true},
		{"with all of the cluster", []string{"all cluster"}, byName("there"), 0, true},
	} {
		allow(t, rules, "alice")
		for _, line := range c.rules {
			if line[0] == '-' {
				deny := acl.Binding{Resource: acl.Topic, Name: acl.Wildcard, Pattern: acl.Literal, Principal: "User:alice", Host: acl.Wildcard,
					Operation: acl.Describe, Permission: acl.Deny}
				if err := rules.Create(t.Context(), []acl.Binding{deny})[0]; err != nil {
					t.Fatal(err)
				}
				continue
			}
			allow(t, rules, "alice", line)
		}
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.TimeoutMillis = 5000
		q.Topics = []kmsg.DeleteTopicsRequestTopic{c.ask}
		got := do[*kmsg.DeleteTopicsResponse](alice, 6, q).Topics[0]
		if got.ErrorCode != c.code || (got.Topic != nil) != c.named {
			t.Errorf("%s: code %d, name %v; want %d, %v", c.what, got.ErrorCode, got.Topic, c.code, c.named)
		}
	}
}
