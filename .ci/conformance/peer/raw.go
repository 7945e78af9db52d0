package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rawRequest is one Produce request with one batch.
type rawRequest struct {
	Version   int16  `json:"version"`
	Partition int32  `json:"partition"`
	Acks      int16  `json:"acks"`
	Records   []line `json:"records"`
	// SpoilCRC changes the checksum, Magic the version of the batch's format.
	SpoilCRC bool `json:"spoil_crc"`
	Magic    int8 `json:"magic"`
}

// rawAnswer is what the broker answered.
type rawAnswer struct {
	Version      int16         `json:"version"`
	Code         int16         `json:"code"`
	Message      *string       `json:"message"`
	BaseOffset   int64         `json:"base_offset"`
	RecordErrors []recordError `json:"record_errors"`
}

type recordError struct {
	Index   int32   `json:"index"`
	Message *string `json:"message"`
}

// raw sends the Produce requests of standard input as they are, one line each,
// and writes the whole of each answer: clients drop the record errors.
func raw(ctx context.Context, p *peer) error {
	cl, err := p.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopics(ctx, p.topic)
	if err != nil {
		return err
	}
	return readLines(func(r rawRequest) error {
		c, err := dial(ctx, p.brokers)
		if err != nil {
			return err
		}
		defer c.Close()
		req := produceRequest(p.topic, topics[p.topic].ID, r)
		req.SetVersion(r.Version)
		kresp, err := c.roundTrip(req)
		if err != nil {
			return fmt.Errorf("produce version %d: %w", r.Version, err)
		}
		resp := kresp.(*kmsg.ProduceResponse)
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return fmt.Errorf("answer has not one topic and one partition: %+v", resp)
		}
		a := resp.Topics[0].Partitions[0]
		out := rawAnswer{Version: resp.Version, Code: a.ErrorCode, Message: a.ErrorMessage, BaseOffset: a.BaseOffset}
		for _, e := range a.ErrorRecords {
			out.RecordErrors = append(out.RecordErrors, recordError{e.RelativeOffset, e.ErrorMessage})
		}
		return p.write(out)
	})
}

func produceRequest(topic string, id [16]byte, r rawRequest) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = r.Acks, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = topic, id
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition = r.Partition
	rp.Records = batch(r.Records)
	if r.SpoilCRC {
		rp.Records[17] ^= 0xff
	}
	if r.Magic != 0 {
		rp.Records[16] = byte(r.Magic)
	}
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// batch builds a record batch v2 by kmsg alone.
func batch(records []line) []byte {
	nowMs := time.Now().UnixMilli()
	var body []byte
	for i, l := range records {
		r := kmsg.Record{OffsetDelta: int32(i), Key: l.Key, Value: l.Value}
		// The length counts everything behind itself; a length of 0 is one byte.
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		body = r.AppendTo(body)
	}
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(len(records) - 1),
		FirstTimestamp: nowMs, MaxTimestamp: nowMs, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(len(records)), Records: body,
	}
	out := b.AppendTo(nil)
	b.Length = int32(len(out) - 12)
	out = b.AppendTo(nil)
	b.CRC = int32(crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}

// versions writes which versions of which requests the broker serves.
func versions(ctx context.Context, p *peer) error {
	cl, err := p.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	api, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	for _, k := range api.ApiKeys {
		if err := p.write(map[string]any{"key": k.ApiKey, "name": kmsg.NameForKey(k.ApiKey), "min": k.MinVersion, "max": k.MaxVersion}); err != nil {
			return err
		}
	}
	return nil
}

// junk is n random bytes, the same for the same seed.
func junk(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
