package broker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// socket connects to a broker; reads and writes end after half a minute.
func socket(t *testing.T, b *brokertest.Broker) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// frame is a request as clients send it.
func frame(id int32, req kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("raw")).AppendRequest(nil, req, id)
}

func sendTo(t *testing.T, c net.Conn, frames ...[]byte) {
	t.Helper()
	if _, err := c.Write(bytes.Join(frames, nil)); err != nil {
		t.Fatal(err)
	}
}

// receive reads one answer and returns its correlation id and body.
func receiveFrom(t *testing.T, c net.Conn) (int32, []byte) {
	t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Fatalf("answer: %v", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	return int32(binary.BigEndian.Uint32(body)), body[4:]
}

// mustClose expects the broker to close the connection without another word.
func mustClose(t *testing.T, name string, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n > 0 || err == nil {
		t.Errorf("%s: the broker answers", name)
	} else if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		t.Errorf("%s: the broker leaves the connection open", name)
	}
}

func mustLive(t *testing.T, b *brokertest.Broker) {
	t.Helper()
	c := socket(t, b)
	sendTo(t, c, frame(1, kmsg.NewPtrApiVersionsRequest()))
	if id, _ := receiveFrom(t, c); id != 1 {
		t.Errorf("correlation id %d", id)
	}
}

func sized(size uint32, body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, size), body...)
}

// TestHostileConnections sends what is no request. The connection is closed, the
// broker lives, and takes no memory for what is only claimed.
func TestHostileConnections(t *testing.T) {
	b := brokertest.New(t)
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.SetVersion(12)
	good := frame(1, metadata)
	unserved := slicesWith(good, func(f []byte) { binary.BigEndian.PutUint16(f[4:], 999) })
	future := slicesWith(good, func(f []byte) { binary.BigEndian.PutUint16(f[6:], 99) })
	negative := slicesWith(good, func(f []byte) { binary.BigEndian.PutUint16(f[6:], 0xffff) })
	cases := map[string][]byte{
		"HTTP":                     []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"TLS":                      {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0, 0},
		"zeros":                    make([]byte, 100),
		"size 0":                   sized(0, good[4:]...),
		"negative size":            sized(1<<31, good[4:]...),
		"4 GiB":                    sized(1<<32-1, good[4:]...),
		"2 GiB of Produce":         sized(1<<31-1, 0, 0, 0, 9, 0, 0, 0, 1),
		"101 MiB of Produce":       sized(101<<20, 0, 0, 0, 9, 0, 0, 0, 1),
		"9 MiB of Metadata":        sized(9<<20, good[4:]...),
		"unknown key":              unserved,
		"version to come":          future,
		"negative version":         negative,
		"body cut":                 sized(uint32(len(good)-4-1), good[4:len(good)-1]...),
		"a million topics claimed": sized(uint32(len(good)-4+4), append(append([]byte{}, good[4:len(good)-5]...), 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0, 0, 0)...),
	}
	for name, hostile := range cases {
		c := socket(t, b)
		sendTo(t, c, hostile)
		mustClose(t, name, c)
	}
	// A size that cannot be, and nothing behind it: closed at once.
	for _, size := range []uint32{0, 1, 2, wire.MinFrame - 1, wire.MaxProduceFrame + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		c := socket(t, b)
		sendTo(t, c, sized(size))
		mustClose(t, fmt.Sprintf("size %d alone", size), c)
	}
	// Cut in the middle: closed when the client goes.
	c := socket(t, b)
	sendTo(t, c, good[:10])
	c.(*net.TCPConn).CloseWrite()
	mustClose(t, "cut frame", c)
	mustLive(t, b)
}

func slicesWith(b []byte, change func([]byte)) []byte {
	b = bytes.Clone(b)
	change(b)
	return b
}

// TestClaimsCostNothing announces large frames on many connections and sends
// nothing of them.
func TestClaimsCostNothing(t *testing.T) {
	b := brokertest.New(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 50 {
		sendTo(t, socket(t, b), sized(5<<20, 0, 0, 0, 9, 0, 0, 0, 1))
	}
	mustLive(t, b)
	runtime.ReadMemStats(&after)
	if used := int64(after.Sys) - int64(before.Sys); used > 64<<20 {
		t.Errorf("50 claims of 5 MiB made the process grow by %d MiB", used>>20)
	}
}

// TestFutureApiVersions answers in version 0 and goes on (KIP-511).
func TestFutureApiVersions(t *testing.T) {
	b := brokertest.New(t)
	c := socket(t, b)
	hello := frame(7, kmsg.NewPtrApiVersionsRequest())
	binary.BigEndian.PutUint16(hello[6:], 127)
	sendTo(t, c, hello)
	id, body := receiveFrom(t, c)
	resp := kmsg.NewPtrApiVersionsResponse()
	if err := resp.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	if id != 7 || wire.Code(resp.ErrorCode) != wire.UnsupportedVersion || len(resp.ApiKeys) != 1 || resp.ApiKeys[0].ApiKey != 18 {
		t.Errorf("id %d, %+v", id, resp)
	}
	sendTo(t, c, frame(8, kmsg.NewPtrApiVersionsRequest()))
	if id, _ := receiveFrom(t, c); id != 8 {
		t.Errorf("correlation id %d", id)
	}
}

// TestPipelining sends more requests than the broker takes at once, of all
// kinds, and reads the answers afterwards: in order, and each made after those
// before it took effect.
func TestPipelining(t *testing.T) {
	b := brokertest.New(t)
	tp, err := b.Topics().Create(t.Context(), topic.Spec{Name: "t", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := socket(t, b)
	const rounds = 100
	kinds := []func() kmsg.Request{
		func() kmsg.Request { return produceRequest(t, tp, "x") },
		func() kmsg.Request { return listEnd(tp) },
		func() kmsg.Request { return kmsg.NewPtrApiVersionsRequest() },
	}
	go func() {
		for i := range rounds * len(kinds) {
			if _, err := c.Write(frame(int32(i), kinds[i%len(kinds)]())); err != nil {
				t.Errorf("request %d: %v", i, err)
				return
			}
		}
	}()
	for i := range rounds * len(kinds) {
		id, body := receiveFrom(t, c)
		if id != int32(i) {
			t.Fatalf("answer %d has id %d", i, id)
		}
		if i%len(kinds) == 1 {
			resp := listEnd(tp).ResponseKind().(*kmsg.ListOffsetsResponse)
			if err := resp.ReadFrom(body[1:]); err != nil {
				t.Fatal(err)
			}
			if got := resp.Topics[0].Partitions[0].Offset; got < int64(i/len(kinds)+1) {
				t.Fatalf("request %d sees %d records, %d were sent before it", i, got, i/len(kinds)+1)
			}
		}
	}
}

func produceRequest(t *testing.T, tp *topic.Topic, value string) *kmsg.ProduceRequest {
	t.Helper()
	rb := record.NewBuilder(record.Options{})
	rb.Append(1000, []byte("k"), []byte(value))
	raw, err := rb.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(13)
	req.Acks, req.TimeoutMillis = -1, 30_000
	rt := kmsg.NewProduceRequestTopic()
	rt.TopicID = tp.ID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = raw
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func listEnd(tp *topic.Topic) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(11)
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = tp.Name
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Timestamp = -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// TestAnswersBeforeABrokenRequest gives the client what it asked for before it
// broke the protocol.
func TestAnswersBeforeABrokenRequest(t *testing.T) {
	f := faulty.New(memory.New())
	b := brokertest.New(t, brokertest.WithEngine(f))
	tp, err := b.Topics().Create(t.Context(), topic.Spec{Name: "t", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	release := f.Hold()
	c := socket(t, b)
	sendTo(t, c, frame(1, produceRequest(t, tp, "x")), sized(0))
	<-f.Held()
	release()
	if id, _ := receiveFrom(t, c); id != 1 {
		t.Errorf("correlation id %d", id)
	}
	mustClose(t, "broken request", c)
}

// TestSlowReader asks for much and reads nothing. Others are served meanwhile,
// and the broker's memory for answers comes back when the client goes.
func TestSlowReader(t *testing.T) {
	b := brokertest.New(t)
	tp, err := b.Topics().Create(t.Context(), topic.Spec{Name: "t", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := socket(t, b)
	for i := range int32(20) {
		sendTo(t, w, frame(i, produceRequest(t, tp, strings.Repeat("x", 1_000_000))))
		receiveFrom(t, w)
	}
	fetch := kmsg.NewPtrFetchRequest()
	fetch.SetVersion(18)
	fetch.MaxBytes = 50 << 20
	rt := kmsg.NewFetchRequestTopic()
	rt.TopicID = tp.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.PartitionMaxBytes = 50 << 20
	rt.Partitions = append(rt.Partitions, rp)
	fetch.Topics = append(fetch.Topics, rt)
	// More than the budget for answers, and none is read.
	slows := make([]net.Conn, 30)
	for i := range slows {
		slow := socket(t, b)
		slows[i] = slow
		sendTo(t, slow, frame(1, fetch), frame(2, fetch), frame(3, fetch))
		var first [1]byte
		if _, err := io.ReadFull(slow, first[:]); err != nil {
			t.Fatal(err)
		}
	}
	// Room comes at the latest when the broker cuts off who does not read.
	patient := *fetch
	patient.MaxWaitMillis = 20_000
	sendTo(t, w, frame(100, &patient))
	if _, body := receiveFrom(t, w); len(body) < 1_000_000 {
		t.Errorf("got %d bytes beside slow readers, want a batch at least", len(body))
	}
	sendTo(t, w, frame(101, produceRequest(t, tp, "x")))
	receiveFrom(t, w)
	for _, slow := range slows {
		slow.Close()
	}
	for { // until the deadline of w
		sendTo(t, w, frame(102, fetch))
		if _, body := receiveFrom(t, w); len(body) > 20_000_000 {
			break
		}
	}
}

// TestRequestBudget holds large requests in the engine until the budget of their
// connection is spent; then the connection waits, and others do not.
func TestRequestBudget(t *testing.T) {
	f := faulty.New(memory.New())
	b := brokertest.New(t, brokertest.WithEngine(f))
	tp, err := b.Topics().Create(t.Context(), topic.Spec{Name: "t", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	appends := func(w storage.Write) bool { return len(w.Append) > 0 }
	held := make(chan struct{})
	f.Always(appends, faulty.Delay(held))
	c := socket(t, b)
	const n = 80 // of 1 MB: above the connection's 64 MiB
	sent := make(chan error, 1)
	go func() {
		var err error
		for i := range int32(n) {
			if _, err = c.Write(frame(i, produceRequest(t, tp, strings.Repeat("x", 1_000_000)))); err != nil {
				break
			}
		}
		sent <- err
	}()
	<-f.Held()
	mustLive(t, b)
	close(held)
	for i := range int32(n) {
		if id, _ := receiveFrom(t, c); id != i {
			t.Fatalf("answer %d has id %d", i, id)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestStopWithConnections ends a broker while clients are parked and writing.
func TestStopWithConnections(t *testing.T) {
	b := brokertest.New(t)
	tp, err := b.Topics().Create(t.Context(), topic.Spec{Name: "t", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	parked := socket(t, b)
	fetch := kmsg.NewPtrFetchRequest()
	fetch.SetVersion(18)
	fetch.MinBytes, fetch.MaxWaitMillis, fetch.MaxBytes = 1, 60_000, 1<<20
	rt := kmsg.NewFetchRequestTopic()
	rt.TopicID = tp.ID
	rt.Partitions = append(rt.Partitions, kmsg.NewFetchRequestTopicPartition())
	fetch.Topics = append(fetch.Topics, rt)
	sendTo(t, parked, frame(1, fetch))
	w := socket(t, b)
	for i := range int32(50) {
		sendTo(t, w, frame(i, produceRequest(t, tp, fmt.Sprint(i))))
	}
	receiveFrom(t, w)
	begun := time.Now()
	b.Stop()
	if d := time.Since(begun); d > 10*time.Second {
		t.Errorf("the broker took %v to stop", d)
	}
	if err := b.Logs().Commit(context.Background(), []storage.Item{{Key: "late"}}, nil); !errors.Is(err, commitlog.ErrClosed) {
		t.Errorf("a stopped broker commits: %v", err)
	}
}
