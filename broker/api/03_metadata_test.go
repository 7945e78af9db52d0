package api_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/wire"
)

func metadataOf(names ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range names {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = &name
		req.Topics = append(req.Topics, rt)
	}
	return req
}

// TestMetadataLists tells null from empty: all topics or none, by version.
func TestMetadataLists(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	create(t, b, "b", 1, nil)
	create(t, b, "a", 3, nil)
	for v := int16(0); v <= 13; v++ {
		null := kmsg.NewPtrMetadataRequest()
		for _, c := range []struct {
			req  *kmsg.MetadataRequest
			want string
		}{{null, "a b"}, {metadataOf(), map[bool]string{true: "a b", false: ""}[v == 0]}, {metadataOf("b", "b"), "b"}} {
			if v == 0 && c.req == null {
				continue // there is no null in version 0
			}
			resp := do[*kmsg.MetadataResponse](r, v, c.req)
			got := ""
			for i, st := range resp.Topics {
				if i > 0 {
					got += " "
				}
				got += *st.Topic
				if v >= 10 && b.Topics().View().ByName(*st.Topic).ID != st.TopicID {
					t.Errorf("v%d: %s has id %x", v, *st.Topic, st.TopicID)
				}
			}
			if got != c.want {
				t.Errorf("v%d: %q, want %q", v, got, c.want)
			}
			if v >= 2 && (resp.ClusterID == nil || *resp.ClusterID != b.ClusterID()) || v >= 1 && resp.ControllerID != resp.Brokers[0].NodeID {
				t.Errorf("v%d: cluster %v, controller %d, brokers %+v", v, resp.ClusterID, resp.ControllerID, resp.Brokers)
			}
		}
	}
}

// TestMetadataByID asks by id from version 12 on.
func TestMetadataByID(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	req := kmsg.NewPtrMetadataRequest()
	for _, id := range [][16]byte{tp.ID, {9}, tp.ID} {
		rt := kmsg.NewMetadataRequestTopic()
		rt.TopicID = id
		req.Topics = append(req.Topics, rt)
	}
	resp := do[*kmsg.MetadataResponse](r, 12, req)
	if len(resp.Topics) != 2 || resp.Topics[0].Topic == nil || *resp.Topics[0].Topic != "t" {
		t.Fatalf("got %+v", resp.Topics)
	}
	if st := resp.Topics[1]; st.Topic != nil || st.TopicID != [16]byte{9} || wire.Code(st.ErrorCode) != wire.UnknownTopicID {
		t.Errorf("unknown id: %+v", st)
	}
}

// TestAutoCreate makes topics when request and broker allow it, with legal names
// only, ready to be written to.
func TestAutoCreate(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
			c.NoAutoCreate = !allowed
			c.Topics.Partitions = 2
		}))
		r := dial(t, b)
		for _, c := range []struct {
			name    string
			version int16
			flag    bool
			made    bool
			code    wire.Code
		}{
			{"old", 3, false, true, wire.UnknownTopicOrPartition},
			{"asked", 4, true, true, wire.UnknownTopicOrPartition},
			{"not-asked", 13, false, false, wire.UnknownTopicOrPartition},
			{"bad name", 13, true, false, wire.InvalidTopicException},
		} {
			req := metadataOf(c.name)
			req.AllowAutoTopicCreation = c.flag
			st := do[*kmsg.MetadataResponse](r, c.version, req).Topics[0]
			if made := st.ErrorCode == 0; made != (c.made && allowed) || !made && wire.Code(st.ErrorCode) != c.code {
				t.Errorf("%s, broker allows %v: %v", c.name, allowed, wire.Code(st.ErrorCode))
			} else if made && len(st.Partitions) != 2 {
				t.Errorf("%s has %d partitions, want the default 2", c.name, len(st.Partitions))
			}
		}
	}
}

// TestAuthorizedOperations are told only when asked for.
func TestAuthorizedOperations(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	create(t, b, "t", 1, nil)
	req := metadataOf("t")
	resp := do[*kmsg.MetadataResponse](r, 8, req)
	if resp.AuthorizedOperations != -1<<31 || resp.Topics[0].AuthorizedOperations != -1<<31 {
		t.Errorf("not asked for: %d, %d", resp.AuthorizedOperations, resp.Topics[0].AuthorizedOperations)
	}
	req.IncludeClusterAuthorizedOperations, req.IncludeTopicAuthorizedOperations = true, true
	resp = do[*kmsg.MetadataResponse](r, 8, req)
	if resp.AuthorizedOperations <= 0 || resp.Topics[0].AuthorizedOperations <= 0 {
		t.Errorf("asked for: %d, %d", resp.AuthorizedOperations, resp.Topics[0].AuthorizedOperations)
	}
}

// TestDescribeTopicPartitions pages through topics, two partitions at a time.
func TestDescribeTopicPartitions(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	for i, n := range []int32{2, 3, 1} {
		create(t, b, fmt.Sprintf("t%d", i), n, nil)
	}
	var got []string
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 2
	for pages := 0; ; pages++ {
		resp := do[*kmsg.DescribeTopicPartitionsResponse](r, 0, req)
		n := 0
		for _, st := range resp.Topics {
			for _, p := range st.Partitions {
				got = append(got, fmt.Sprintf("%s/%d", *st.Topic, p.Partition))
				n++
			}
			if len(st.Partitions) == 0 {
				t.Errorf("page %d names %s and none of its partitions", pages, *st.Topic)
			}
		}
		if n > 2 || pages > 5 {
			t.Fatalf("page %d has %d partitions", pages, n)
		}
		if resp.NextCursor == nil {
			break
		}
		c := kmsg.NewDescribeTopicPartitionsRequestCursor()
		c.Topic, c.Partition = resp.NextCursor.Topic, resp.NextCursor.Partition
		req.Cursor = &c
	}
	if want := []string{"t0/0", "t0/1", "t1/0", "t1/1", "t1/2", "t2/0"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// The topic that the cursor names is gone: on with the next. No limit is one.
	req = kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 0
	c := kmsg.NewDescribeTopicPartitionsRequestCursor()
	c.Topic, c.Partition = "t0zzz", 7
	req.Cursor = &c
	page := do[*kmsg.DescribeTopicPartitionsResponse](r, 0, req)
	if len(page.Topics) != 1 || *page.Topics[0].Topic != "t1" || len(page.Topics[0].Partitions) != 1 || page.NextCursor == nil || page.NextCursor.Partition != 1 {
		t.Errorf("a page of one partition: %+v", page)
	}
	c.Topic, c.Partition = "t1", 99
	if page = do[*kmsg.DescribeTopicPartitionsResponse](r, 0, req); len(page.Topics) == 0 || page.NextCursor != nil && page.NextCursor.Topic < "t1" {
		t.Errorf("a cursor past the last partition: %+v", page)
	}
	c.Partition = -1
	rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
	rt.Topic = "t1"
	req.Topics = append(req.Topics, rt)
	for _, bad := range []kmsg.DescribeTopicPartitionsRequestCursor{{Topic: "t1", Partition: -1}, {Topic: "t0", Partition: 0}} {
		c.Topic, c.Partition = bad.Topic, bad.Partition
		if page = do[*kmsg.DescribeTopicPartitionsResponse](r, 0, req); len(page.Topics) != 1 || wire.Code(page.Topics[0].ErrorCode) != wire.InvalidRequest {
			t.Errorf("a cursor at %s/%d: %+v", bad.Topic, bad.Partition, page)
		}
	}
	req = kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 2000
	for _, name := range []string{"nope", "bad name"} {
		rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
		rt.Topic = name
		req.Topics = append(req.Topics, rt)
	}
	resp := do[*kmsg.DescribeTopicPartitionsResponse](r, 0, req)
	if len(resp.Topics) != 2 || wire.Code(resp.Topics[0].ErrorCode) != wire.InvalidTopicException || wire.Code(resp.Topics[1].ErrorCode) != wire.UnknownTopicOrPartition {
		t.Errorf("unknown topics: %+v", resp.Topics)
	}
}
