package api_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestInternalTopics: asking for a coordinator brings Kafka's own topics into
// being. They are listed as internal, can be read, hold nothing, and take
// nothing.
func TestInternalTopics(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	create(t, b, "__mine", 1, nil)
	for kind, name := range map[int8]string{0: "__consumer_offsets", 1: "__transaction_state"} {
		if b.Topics().View().ByName(name) != nil {
			t.Fatalf("%s is there before anybody asked", name)
		}
		for range 2 {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKeys = kind, []string{"x"}
			if c := do[*kmsg.FindCoordinatorResponse](r, 6, req).Coordinators[0]; c.ErrorCode != 0 {
				t.Fatal(wire.Code(c.ErrorCode))
			}
		}
		tp := b.Topics().View().ByName(name)
		if tp == nil {
			t.Fatalf("%s is not there", name)
		}
		if p := r.produce(tp, batch(t, record.Options{}, "v")); wire.Code(p.ErrorCode) != wire.InvalidTopicException {
			t.Errorf("%s takes records: %v", name, wire.Code(p.ErrorCode))
		}
		req := fetchFrom(tp, 0, 0)
		req.MaxWaitMillis = 0
		if p := do[*kmsg.FetchResponse](r, 18, req).Topics[0].Partitions[0]; p.ErrorCode != 0 || len(p.RecordBatches) != 0 {
			t.Errorf("%s: code %d, %d bytes", name, p.ErrorCode, len(p.RecordBatches))
		}
	}
	internal := map[string]bool{"__consumer_offsets": true, "__transaction_state": true, "__mine": false}
	m := do[*kmsg.MetadataResponse](r, 13, kmsg.NewPtrMetadataRequest())
	d := do[*kmsg.DescribeTopicPartitionsResponse](r, 0, kmsg.NewPtrDescribeTopicPartitionsRequest())
	if len(m.Topics) != len(internal) || len(d.Topics) != len(internal) {
		t.Fatalf("%d and %d topics", len(m.Topics), len(d.Topics))
	}
	for i := range m.Topics {
		if st := m.Topics[i]; st.IsInternal != internal[*st.Topic] {
			t.Errorf("Metadata: %s is internal: %v", *st.Topic, st.IsInternal)
		}
		if st := d.Topics[i]; st.IsInternal != internal[*st.Topic] {
			t.Errorf("DescribeTopicPartitions: %s is internal: %v", *st.Topic, st.IsInternal)
		}
	}
}
