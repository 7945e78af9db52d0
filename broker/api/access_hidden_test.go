package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
)

// TestHidden looks at what is left out for those who may not see it. Of topics
// seen and hidden, alice may describe the first.
func TestHidden(t *testing.T) {
	b, rules := guardedBroker(t)
	root, alice := login(t, b, "root"), login(t, b, "alice")
	seen, hidden := create(t, b, "seen", 1, nil), create(t, b, "hidden", 1, nil)
	see := []string{"describe topic seen", "describe group g", "describe transactional-id tx-seen"}

	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = "g", -1
	for _, name := range []string{seen.Name, hidden.Name} {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = name
		rt.Partitions = append(rt.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
		commit.Topics = append(commit.Topics, rt)
	}
	do[*kmsg.OffsetCommitResponse](root, 8, commit)
	commit.Group = "g2"
	do[*kmsg.OffsetCommitResponse](root, 8, commit)
	for _, id := range []string{"tx-seen", "tx-hidden"} {
		q := kmsg.NewPtrInitProducerIDRequest()
		q.TransactionalID, q.TransactionTimeoutMillis, q.ProducerID, q.ProducerEpoch = ptr(id), 60_000, -1, -1
		do[*kmsg.InitProducerIDResponse](root, 4, q)
	}
	allow(t, rules, "alice", see...)

	for v := int16(0); v <= 13; v++ {
		q := kmsg.NewPtrMetadataRequest()
		if q.Topics = nil; v == 0 {
			q.Topics = []kmsg.MetadataRequestTopic{}
		}
		var got []string
		for _, rt := range do[*kmsg.MetadataResponse](alice, v, q).Topics {
			got = append(got, *rt.Topic)
		}
		expect(t, fmt.Sprintf("all topics, Metadata v%d", v), got, "seen")
	}
	for name, ask := range map[string]string{"hidden": "hidden", "not there": "nowhere"} {
		for _, v := range []int16{0, 4, 12} {
			q := kmsg.NewPtrMetadataRequest()
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic = &ask
			q.Topics, q.AllowAutoTopicCreation = append(q.Topics, rt), true
			r := do[*kmsg.MetadataResponse](alice, v, q)
			if len(r.Topics) != 1 || *r.Topics[0].Topic != ask || r.Topics[0].ErrorCode != noTopic || r.Topics[0].TopicID != [16]byte{} {
				t.Errorf("a topic that is %s, Metadata v%d: %+v", name, v, r.Topics)
			}
		}
	}
	byID := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.TopicID = hidden.ID
	byID.Topics = append(byID.Topics, rt)
	if r := do[*kmsg.MetadataResponse](alice, 13, byID); r.Topics[0].Topic != nil || r.Topics[0].ErrorCode != noTopic {
		t.Errorf("the id of a hidden topic: %+v", r.Topics[0])
	}

	var got []string
	pages := do[*kmsg.DescribeTopicPartitionsResponse](alice, 0, kmsg.NewPtrDescribeTopicPartitionsRequest())
	for _, rt := range pages.Topics {
		got = append(got, *rt.Topic)
	}
	expect(t, "all topics, DescribeTopicPartitions", got, "seen")

	got = nil
	for _, g := range do[*kmsg.ListGroupsResponse](alice, 5, kmsg.NewPtrListGroupsRequest()).Groups {
		got = append(got, g.Group)
	}
	expect(t, "groups", got, "g")

	got = nil
	txns := kmsg.NewPtrListTransactionsRequest()
	txns.DurationFilterMillis = -1
	for _, s := range do[*kmsg.ListTransactionsResponse](alice, 1, txns).TransactionStates {
		got = append(got, s.TransactionalID)
	}
	expect(t, "transactions", got, "tx-seen")

	for v := int16(2); v <= 9; v++ {
		got = nil
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Group, q.Topics = "g", nil
		rg := kmsg.NewOffsetFetchRequestGroup()
		rg.Group, rg.Topics = "g", nil
		q.Groups = append(q.Groups, rg)
		r := do[*kmsg.OffsetFetchResponse](alice, v, q)
		for _, rt := range r.Topics {
			got = append(got, rt.Topic)
		}
		for _, g := range r.Groups {
			for _, rt := range g.Topics {
				got = append(got, rt.Topic)
			}
		}
		expect(t, fmt.Sprintf("all offsets of a group v%d", v), got, "seen")
	}
	if r := do[*kmsg.DescribeLogDirsResponse](alice, 1, kmsg.NewPtrDescribeLogDirsRequest()); len(r.Dirs) != 0 {
		t.Errorf("log directories: %+v", r.Dirs)
	}
}

func expect(t *testing.T, what string, got []string, want string) {
	t.Helper()
	slices.Sort(got)
	if s := strings.Join(got, " "); s != want {
		t.Errorf("%s: got %q, want %q", what, s, want)
	}
}

// TestAllowedOperations looks at the bits that tell clients what they may.
func TestAllowedOperations(t *testing.T) {
	b, rules := guardedBroker(t)
	alice := login(t, b, "alice")
	create(t, b, "t", 1, nil)
	allow(t, rules, "alice", "read topic t", "alter-configs topic t", "describe cluster", "create cluster")

	meta := kmsg.NewPtrMetadataRequest()
	meta.Topics = nil
	meta.IncludeTopicAuthorizedOperations, meta.IncludeClusterAuthorizedOperations = true, true
	r := do[*kmsg.MetadataResponse](alice, 10, meta)
	if got, want := r.Topics[0].AuthorizedOperations, int32(1<<3|1<<8|1<<10|1<<11); got != want {
		t.Errorf("topic: got %b, want %b", got, want)
	}
	if got, want := r.AuthorizedOperations, int32(1<<5|1<<8); got != want {
		t.Errorf("cluster: got %b, want %b", got, want)
	}
	cluster := kmsg.NewPtrDescribeClusterRequest()
	cluster.IncludeClusterAuthorizedOperations = true
	if got := do[*kmsg.DescribeClusterResponse](alice, 1, cluster).ClusterAuthorizedOperations; got != 1<<5|1<<8 {
		t.Errorf("DescribeCluster: got %b", got)
	}
	allow(t, rules, "alice", "create cluster")
	if got := do[*kmsg.DescribeClusterResponse](alice, 1, cluster).ClusterAuthorizedOperations; got != 0 {
		t.Errorf("DescribeCluster without describe: got %b", got)
	}
	made := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "made", 1, 1
	made.Topics = append(made.Topics, rt)
	if st := do[*kmsg.CreateTopicsResponse](alice, 7, made).Topics[0]; st.ErrorCode != 0 || st.ConfigErrorCode != noTopic || st.Configs != nil {
		t.Errorf("configs of a new topic that may not be described: %+v", st)
	}
}

// TestGroupOperations are told when asked for, with rules and without.
func TestGroupOperations(t *testing.T) {
	b, rules := guardedBroker(t)
	alice := login(t, b, "alice")
	free := dial(t, brokertest.New(t))
	allow(t, rules, "alice", "read group", "read topic")
	for _, c := range []struct {
		r    *raw
		want int32
	}{{alice, 1<<3 | 1<<8}, {free, 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11}} {
		q := kmsg.NewPtrDescribeGroupsRequest()
		q.Groups = []string{"g"}
		if got := do[*kmsg.DescribeGroupsResponse](c.r, 5, q).Groups[0].AuthorizedOperations; got != -1<<31 {
			t.Errorf("not asked for: got %b", got)
		}
		q.IncludeAuthorizedOperations = true
		if got := do[*kmsg.DescribeGroupsResponse](c.r, 5, q).Groups[0].AuthorizedOperations; got != c.want {
			t.Errorf("got %b, want %b", got, c.want)
		}
	}
}

// TestRevoked takes a rule away while a fetch session is open: the session
// remembers the partition, and must not remember the permission.
func TestRevoked(t *testing.T) {
	b, rules := guardedBroker(t)
	root, alice := login(t, b, "root"), login(t, b, "alice")
	tp := create(t, b, "t", 1, nil)
	root.mustProduce(tp, "a")
	allow(t, rules, "alice", "read topic t")
	q := fetchFrom(tp, 0, 0)
	q.SessionEpoch = 0
	r := do[*kmsg.FetchResponse](alice, 13, q)
	if r.SessionID == 0 || r.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("no session: %+v", r)
	}
	allow(t, rules, "alice")
	root.mustProduce(tp, "secret")
	next := kmsg.NewPtrFetchRequest()
	next.SessionID, next.SessionEpoch, next.MaxBytes, next.MinBytes = r.SessionID, 1, 1<<20, 1
	r = do[*kmsg.FetchResponse](alice, 13, next)
	if len(r.Topics) != 1 || r.Topics[0].Partitions[0].ErrorCode != noTopic || len(r.Topics[0].Partitions[0].RecordBatches) != 0 {
		t.Errorf("after the rule is gone: %+v", r.Topics)
	}
}

// TestMixedTopics has one topic refused and the other answered, in one request.
func TestMixedTopics(t *testing.T) {
	b, rules := guardedBroker(t)
	alice := login(t, b, "alice")
	mine, other := create(t, b, "mine", 1, nil), create(t, b, "other", 1, nil)
	allow(t, rules, "alice", "write topic mine")
	q := produceTo(mine, 0, batch(t, record.Options{}, "x"))
	q.Topics = append(q.Topics, produceTo(other, 0, batch(t, record.Options{}, "y")).Topics...)
	got := map[[16]byte]int16{}
	for _, st := range do[*kmsg.ProduceResponse](alice, 13, q).Topics {
		got[st.TopicID] = st.Partitions[0].ErrorCode
	}
	if len(got) != 2 || got[mine.ID] != 0 || got[other.ID] != noTopic {
		t.Errorf("codes: %v", got)
	}
	// Without acknowledgements a refusal is told by closing the connection.
	q = produceTo(other, 0, batch(t, record.Options{}, "z"))
	q.Acks = 0
	q.SetVersion(13)
	alice.send(q)
	if !alice.closed() {
		t.Error("a refused Produce with acks=0 leaves the connection open")
	}
}

// TestACLsOverTheWire makes, lists and removes rules as an admin client does.
func TestACLsOverTheWire(t *testing.T) {
	b, _ := guardedBroker(t)
	root := login(t, b, "root")
	for v := int16(0); v <= 3; v++ {
		add := kmsg.NewPtrCreateACLsRequest()
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = 2, "t", 3
		c.Principal, c.Host, c.Operation, c.PermissionType = "User:alice", "*", 3, 3
		bad := c
		bad.Operation = 1
		add.Creations = append(add.Creations, c, bad)
		out := do[*kmsg.CreateACLsResponse](root, v, add).Results
		if out[0].ErrorCode != 0 || out[1].ErrorCode != 42 {
			t.Errorf("create v%d: %+v", v, out)
		}
		list := kmsg.NewPtrDescribeACLsRequest()
		list.ResourceType, list.ResourcePatternType, list.Operation, list.PermissionType = 1, 1, 1, 1
		found := do[*kmsg.DescribeACLsResponse](root, v, list)
		if len(found.Resources) != 1 || found.Resources[0].ResourceName != "t" || found.Resources[0].ACLs[0].Principal != "User:alice" {
			t.Errorf("describe v%d: %+v", v, found)
		}
		del := kmsg.NewPtrDeleteACLsRequest()
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType = 2, 1, 1, 1
		unknown := f
		unknown.ResourceType = 0
		del.Filters = append(del.Filters, f, unknown)
		gone := do[*kmsg.DeleteACLsResponse](root, v, del).Results
		if len(gone[0].MatchingACLs) != 1 || gone[0].ErrorCode != 0 || gone[1].ErrorCode != 42 {
			t.Errorf("delete v%d: %+v", v, gone)
		}
	}
}
