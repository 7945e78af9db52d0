package broker_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
)

const (
	benchConnections = 64
	benchInFlight    = 5
	benchPartitions  = 8
	benchRecord      = 1 << 10
)

// BenchmarkProduce has 64 connections, each with five requests in flight, write
// records of 1 KB to 8 partitions with acks=all on SQLite; an iteration is one
// request of so many records. Raw is what the disk gives for pieces of that many
// bytes, flushed one after the other.
func BenchmarkProduce(b *testing.B) {
	for _, n := range []int{1, 16, 100} {
		b.Run(fmt.Sprintf("%drecords", n), func(b *testing.B) {
			br, tp := benchBroker(b)
			benchProduce(b, br, tp, n)
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
		})
	}
	for _, size := range []int{64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("raw%dKB", size>>10), func(b *testing.B) { benchRaw(b, size) })
	}
}

// BenchmarkProduceClient is the same with franz-go, which makes the batches.
func BenchmarkProduceClient(b *testing.B) {
	br, _ := benchBroker(b)
	c, err := kgo.NewClient(kgo.SeedBrokers(br.Address()), kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	value := make([]byte, benchRecord)
	b.SetBytes(benchRecord)
	b.ResetTimer()
	for range b.N {
		c.Produce(b.Context(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := c.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkFetch reads 1 MB at a time: of the newest 16 MB, which lie in memory,
// and of the oldest 64 MB, which the engine has.
func BenchmarkFetch(b *testing.B) {
	const old, recent, batch = 64 << 20, 16 << 20, 16
	br, tp := benchBroker(b)
	c := benchDial(b, br)
	raw := benchBatch(b, batch)
	for range (old + recent) / benchRecord / batch {
		c.ask(b, produceRequestOf(tp, 0, raw))
	}
	end := int64((old + recent) / benchRecord)
	for _, from := range []struct {
		name        string
		first, last int64
	}{{"tail", end - recent/benchRecord, end}, {"engine", 0, old / benchRecord}} {
		b.Run(from.name, func(b *testing.B) {
			offset, bytes := from.first, 0
			for b.Loop() {
				n := c.ask(b, fetchRequestOf(tp, offset))
				bytes += n
				if offset += int64(n / benchRecord); offset >= from.last-1024 {
					offset = from.first
				}
			}
			b.SetBytes(int64(bytes / b.N))
		})
	}
}

func benchBroker(b *testing.B) (*brokertest.Broker, *topic.Topic) {
	b.Helper()
	e := openSQLite(b, filepath.Join(b.TempDir(), "tarn.db"))
	br := brokertest.New(b, brokertest.WithEngine(e))
	b.Cleanup(func() {
		br.Stop()
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	tp, err := br.Topics().Create(b.Context(), topic.Spec{Name: "t", Partitions: benchPartitions})
	if err != nil {
		b.Fatal(err)
	}
	return br, tp
}

func benchProduce(b *testing.B, br *brokertest.Broker, tp *topic.Topic, records int) {
	raw := benchBatch(b, records)
	b.SetBytes(int64(records * benchRecord))
	var left atomic.Int64
	left.Store(int64(b.N))
	conns := make([]*benchConn, benchConnections)
	for i := range conns {
		conns[i] = benchDial(b, br)
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, c := range conns {
		request := frame(0, produceRequestOf(tp, int32(i%benchPartitions), raw))
		slots := make(chan struct{}, benchInFlight)
		wg.Go(func() {
			defer close(slots)
			for left.Add(-1) >= 0 {
				slots <- struct{}{}
				if _, err := c.Write(request); err != nil {
					b.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for range slots {
				c.read(b)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

// benchRaw appends pieces to a file and flushes each.
func benchRaw(b *testing.B, size int) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	piece := make([]byte, size)
	b.SetBytes(int64(size))
	for b.Loop() {
		if _, err := f.Write(piece); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchBatch(b *testing.B, records int) []byte {
	rb := record.NewBuilder(record.Options{})
	value := make([]byte, benchRecord)
	for i := range value {
		value[i] = byte(i * 7)
	}
	for range records {
		rb.Append(1000, nil, value)
	}
	raw, err := rb.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

func produceRequestOf(tp *topic.Topic, partition int32, raw []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(13)
	req.Acks, req.TimeoutMillis = -1, 30_000
	rt := kmsg.NewProduceRequestTopic()
	rt.TopicID = tp.ID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = partition, raw
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func fetchRequestOf(tp *topic.Topic, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(18)
	req.MaxBytes, req.MinBytes = 1<<20, 1
	rt := kmsg.NewFetchRequestTopic()
	rt.TopicID = tp.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.FetchOffset, rp.PartitionMaxBytes = offset, 1<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// benchConn reads answers and forgets them.
type benchConn struct {
	net.Conn
	buf []byte
}

func benchDial(b *testing.B, br *brokertest.Broker) *benchConn {
	c, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", br.Address())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return &benchConn{Conn: c, buf: make([]byte, 2<<20)}
}

// read reads one answer and returns its size.
func (c *benchConn) read(b *testing.B) int {
	if _, err := io.ReadFull(c, c.buf[:4]); err != nil {
		b.Error(err)
		return 0
	}
	n := int(binary.BigEndian.Uint32(c.buf))
	if _, err := io.ReadFull(c, c.buf[:n]); err != nil {
		b.Error(err)
	}
	return n
}

func (c *benchConn) ask(b *testing.B, req kmsg.Request) int {
	if _, err := c.Write(frame(1, req)); err != nil {
		b.Fatal(err)
	}
	return c.read(b)
}
