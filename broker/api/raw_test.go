package api_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
)

// raw is a client that sends exactly what a test says.
type raw struct {
	t    *testing.T
	conn net.Conn
	form *kmsg.RequestFormatter
	next int32
}

func dial(t *testing.T, b *brokertest.Broker) *raw {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &raw{t: t, conn: conn, form: kmsg.NewRequestFormatter(kmsg.FormatterClientID("raw"))}
}

func (r *raw) send(req kmsg.Request) {
	r.t.Helper()
	r.next++
	if _, err := r.conn.Write(r.form.AppendRequest(nil, req, r.next)); err != nil {
		r.t.Fatal(err)
	}
}

// recv reads the answer to req, which must decode to exactly the bytes it has.
func (r *raw) recv(req kmsg.Request, id int32) kmsg.Response {
	r.t.Helper()
	var head [8]byte
	if _, err := io.ReadFull(r.conn, head[:]); err != nil {
		r.t.Fatalf("answer to key %d v%d: %v", req.Key(), req.GetVersion(), err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(r.conn, body); err != nil {
		r.t.Fatal(err)
	}
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != id {
		r.t.Fatalf("correlation id %d, want %d", got, id)
	}
	resp := req.ResponseKind()
	if resp.IsFlexible() && resp.Key() != 18 {
		if body[0] != 0 {
			r.t.Fatalf("response header of key %d v%d has tags %x", req.Key(), req.GetVersion(), body[0])
		}
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		r.t.Fatalf("answer to key %d v%d: %v", req.Key(), req.GetVersion(), err)
	}
	if again := resp.AppendTo(nil); !bytes.Equal(again, body) {
		r.t.Errorf("answer to key %d v%d is %x, read and written again %x", req.Key(), req.GetVersion(), body, again)
	}
	return resp
}

// do sends a request and reads its answer.
func do[R kmsg.Response](r *raw, version int16, req kmsg.Request) R {
	r.t.Helper()
	req.SetVersion(version)
	r.send(req)
	return r.recv(req, r.next).(R)
}

// closed reports whether the broker has closed the connection without a word.
func (r *raw) closed() bool {
	r.t.Helper()
	n, err := r.conn.Read(make([]byte, 1))
	return n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func ptr[T any](v T) *T { return &v }

// create makes a topic and returns it.
func create(t *testing.T, b *brokertest.Broker, name string, partitions int32, configs map[string]string) *topic.Topic {
	t.Helper()
	made, err := b.Topics().Create(t.Context(), topic.Spec{Name: name, Partitions: partitions, Configs: configs})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// batch builds a v2 batch with the given values, one millisecond apart from
// timestamp 1000 on, each with key "k".
func batch(t *testing.T, o record.Options, values ...string) []byte {
	t.Helper()
	b := record.NewBuilder(o)
	for i, v := range values {
		b.Append(1000+int64(i), []byte("k"), []byte(v))
	}
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// produceTo is a Produce request for one partition.
func produceTo(tp *topic.Topic, partition int32, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = tp.Name, tp.ID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = partition, records
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// produce sends records to partition 0 in the newest version and returns the
// partition's answer.
func (r *raw) produce(tp *topic.Topic, records []byte) kmsg.ProduceResponseTopicPartition {
	r.t.Helper()
	return do[*kmsg.ProduceResponse](r, 13, produceTo(tp, 0, records)).Topics[0].Partitions[0]
}

// mustProduce is produce of values that have to be taken.
func (r *raw) mustProduce(tp *topic.Topic, values ...string) int64 {
	r.t.Helper()
	p := r.produce(tp, batch(r.t, record.Options{}, values...))
	if p.ErrorCode != 0 {
		r.t.Fatalf("produce to %s: code %d", tp.Name, p.ErrorCode)
	}
	return p.BaseOffset
}

// fetchFrom is a Fetch request for one partition.
func fetchFrom(tp *topic.Topic, partition int32, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.MaxWaitMillis = 1<<20, 1, 10_000
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = tp.Name, tp.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = partition, offset, 1<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// fetch reads partition 0 in the newest version.
func (r *raw) fetch(tp *topic.Topic, offset int64) kmsg.FetchResponseTopicPartition {
	r.t.Helper()
	return do[*kmsg.FetchResponse](r, 18, fetchFrom(tp, 0, offset)).Topics[0].Partitions[0]
}

// values lists the records of concatenated batches from an offset on.
func values(t *testing.T, batches []byte, from int64) []string {
	t.Helper()
	out := []string{}
	var rd record.Reader
	for b, err := range record.Batches(batches) {
		if err == nil {
			err = record.CheckCRC(b.Bytes)
		}
		if err == nil {
			err = rd.Reset(b.Bytes, 1<<20)
		}
		if err != nil {
			t.Fatal(err)
		}
		for rd.Next() {
			if rd.Record().Offset >= from {
				out = append(out, string(rd.Record().Value))
			}
		}
		if err := rd.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func tpOf(tp *topic.Topic, partition int32) storage.TP {
	return storage.TP{Topic: tp.ID, Partition: partition}
}
