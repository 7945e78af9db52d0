package api_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// timed builds a batch of records with the given times.
func timed(t *testing.T, times ...int64) []byte {
	t.Helper()
	b := record.NewBuilder(record.Options{})
	for _, ms := range times {
		b.Append(ms, nil, []byte("x"))
	}
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func listAt(tp *topic.Topic, partition int32, ts int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = tp.Name
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp, rp.MaxNumOffsets = partition, ts, 10
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// TestListOffsets asks for every kind of timestamp, of a log whose times do not
// ascend and that starts inside a batch.
func TestListOffsets(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp, empty := create(t, b, "t", 1, nil), create(t, b, "empty", 1, nil)
	for _, times := range [][]int64{{900, 100}, {500, 300}, {50, 800, 800}, {200}} { // 0-1, 2-3, 4-6, 7
		r.produce(tp, timed(t, times...))
	}
	if _, err := b.Logs().Trim(t.Context(), tpOf(tp, 0), 1); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		topic   *topic.Topic
		version int16
		ts      int64
		want    string // offset timestamp epoch, or the code
	}{
		{tp, 11, -1, "8 -1 0"}, {tp, 1, -1, "8 -1 -1"}, {tp, 11, -2, "1 -1 0"}, {tp, 11, -4, "1 -1 0"},
		{tp, 11, -3, "5 800 0"}, {tp, 11, -5, "-1 -1 -1"}, {tp, 11, -6, "-1 -1 -1"},
		{tp, 11, 0, "1 100 0"}, {tp, 11, 101, "2 500 0"}, {tp, 11, 501, "5 800 0"}, {tp, 11, 800, "5 800 0"}, {tp, 11, 801, "-1 -1 -1"},
		{tp, 7, -3, "5 800 0"}, {tp, 6, -3, "UNSUPPORTED_VERSION"}, {tp, 7, -4, "UNSUPPORTED_VERSION"},
		{tp, 8, -5, "UNSUPPORTED_VERSION"}, {tp, 10, -6, "UNSUPPORTED_VERSION"}, {tp, 11, -7, "UNSUPPORTED_VERSION"}, {tp, 11, -1 << 63, "UNSUPPORTED_VERSION"},
		{empty, 11, -1, "0 -1 0"}, {empty, 11, -2, "0 -1 0"}, {empty, 11, -3, "-1 -1 -1"}, {empty, 11, 5, "-1 -1 -1"},
		{&topic.Topic{Name: "nope"}, 11, -1, "UNKNOWN_TOPIC_OR_PARTITION"},
		{tp, 0, -1, "[8 1]"}, {tp, 0, -2, "[1]"}, {empty, 0, -1, "[0]"}, {&topic.Topic{Name: "nope"}, 0, -1, "UNKNOWN_TOPIC_OR_PARTITION"},
	}
	for _, isolation := range []int8{0, 1} {
		for _, c := range cases {
			req := listAt(c.topic, 0, c.ts)
			req.IsolationLevel = isolation
			p := do[*kmsg.ListOffsetsResponse](r, c.version, req).Topics[0].Partitions[0]
			got := fmt.Sprint(p.Offset, p.Timestamp, p.LeaderEpoch)
			if c.version == 0 {
				got = fmt.Sprint(p.OldStyleOffsets)
			}
			if p.ErrorCode != 0 {
				if got = wire.Code(p.ErrorCode).Name(); p.Offset != -1 || p.Timestamp != -1 {
					t.Errorf("v%d at %d: %s with offset %d", c.version, c.ts, got, p.Offset)
				}
			}
			if got != c.want {
				t.Errorf("%s v%d at %d: %s, want %s", c.topic.Name, c.version, c.ts, got, c.want)
			}
		}
	}
	req := listAt(tp, 0, -1)
	req.Topics[0].Partitions[0].CurrentLeaderEpoch = 3
	if p := do[*kmsg.ListOffsetsResponse](r, 11, req).Topics[0].Partitions[0]; wire.Code(p.ErrorCode) != wire.UnknownLeaderEpoch {
		t.Errorf("epoch to come: %+v", p)
	}
	req = listAt(tp, 0, -1)
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
	for _, p := range do[*kmsg.ListOffsetsResponse](r, 11, req).Topics[0].Partitions {
		if wire.Code(p.ErrorCode) != wire.InvalidRequest || p.Offset != -1 {
			t.Errorf("a partition named twice: %+v", p)
		}
	}
}

func TestOffsetForLeaderEpoch(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 1, nil)
	r.mustProduce(tp, "a", "b")
	for _, c := range []struct {
		current, epoch int32
		code           wire.Code
		want           string
	}{
		{0, 0, 0, "0 2"}, {-1, 0, 0, "0 2"}, {0, 7, 0, "-1 -1"}, {0, -1, 0, "-1 -1"}, {4, 0, wire.UnknownLeaderEpoch, "-1 -1"},
	} {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		rt := kmsg.NewOffsetForLeaderEpochRequestTopic()
		rt.Topic = tp.Name
		rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		rp.CurrentLeaderEpoch, rp.LeaderEpoch = c.current, c.epoch
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		p := do[*kmsg.OffsetForLeaderEpochResponse](r, 4, req).Topics[0].Partitions[0]
		if got := fmt.Sprint(p.LeaderEpoch, p.EndOffset); wire.Code(p.ErrorCode) != c.code || got != c.want {
			t.Errorf("epoch %d as of %d: code %v, %s, want %v, %s", c.epoch, c.current, wire.Code(p.ErrorCode), got, c.code, c.want)
		}
	}
}

func TestDeleteRecords(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	tp := create(t, b, "t", 3, nil)
	compacted := create(t, b, "compacted", 1, map[string]string{"cleanup.policy": "compact"})
	for p := range int32(3) {
		do[*kmsg.ProduceResponse](r, 13, produceTo(tp, p, batch(t, record.Options{}, "a", "b", "c")))
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	add := func(name string, offsets ...int64) {
		rt := kmsg.NewDeleteRecordsRequestTopic()
		rt.Topic = name
		for i, o := range offsets {
			rp := kmsg.NewDeleteRecordsRequestTopicPartition()
			rp.Partition, rp.Offset = int32(i), o
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	add("t", 2, -1, 4, 0)
	add("compacted", 0)
	add("nope", 0)
	add("t", 1, -2) // never back; below 0 has no meaning
	want := map[string][]string{
		"t": {"0 2", "0 3", "1 -1", "3 -1", "0 2", "1 -1"}, "compacted": {"44 -1"}, "nope": {"3 -1"},
	}
	got := map[string][]string{}
	for _, st := range do[*kmsg.DeleteRecordsResponse](r, 2, req).Topics {
		for _, p := range st.Partitions {
			got[st.Topic] = append(got[st.Topic], fmt.Sprint(p.ErrorCode, " ", p.LowWatermark))
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("code and low watermark: %v, want %v", got, want)
	}
	if p := r.fetch(tp, 1); wire.Code(p.ErrorCode) != wire.OffsetOutOfRange {
		t.Errorf("deleted records: %v", wire.Code(p.ErrorCode))
	}
	if log, err := b.Logs().Log(t.Context(), tpOf(compacted, 0)); err != nil || log.Start() != 0 {
		t.Errorf("compacted log: %v", err)
	}
}
