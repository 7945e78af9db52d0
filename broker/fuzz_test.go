package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// script is a connection that gives given bytes, then waits a little for
// answers, and ends.
type script struct {
	net.Conn
	in     *bytes.Reader
	closed chan struct{}
	close  func()
}

func newScript(in []byte) *script {
	s := &script{in: bytes.NewReader(in), closed: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	return s
}

// patience is how long a script waits for answers at its end: parked requests
// are cut off then, as by a client that leaves.
const patience = 2 * time.Millisecond

func (s *script) Read(b []byte) (int, error) {
	if n, err := s.in.Read(b); err == nil {
		return n, nil
	}
	select {
	case <-time.After(patience):
		return 0, io.EOF
	case <-s.closed:
		return 0, net.ErrClosed
	}
}

func (s *script) Write(b []byte) (int, error)      { return len(b), nil }
func (s *script) Close() error                     { s.close(); return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// FuzzConnection feeds a broker what a client may send. It must not panic (which
// the connection would hide, hence the check of the log), nor keep anything of
// its budgets. Run it with -fuzzminimizetime 1x: what goroutines do differs from
// run to run, and making inputs smaller would go on for long.
func FuzzConnection(f *testing.F) {
	for _, frames := range conversations(f) {
		f.Add(frames)
	}
	lg := &panics{}
	ctx, cancel := context.WithCancel(context.Background())
	b, err := Open(ctx, Config{Engine: memory.New(), Listeners: []Listener{{Addr: "127.0.0.1:0"}}, GroupInitialDelay: -1,
		Times: Times{MinSession: time.Millisecond}, Log: lg.logger()})
	if err != nil {
		f.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	if _, err := b.topics.Create(ctx, topic.Spec{Name: "t", Partitions: 2}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frames []byte) {
		b.newConnection(b.listeners[0], newScript(frames)).run(t.Context())
		if text := lg.take(); text != "" {
			t.Error(text)
		}
		if !b.requestBytes.TryAcquire(maxRequestBytes) {
			t.Fatal("the budget of requests leaks")
		}
		b.requestBytes.Release(maxRequestBytes)
		if !b.requestElements.TryAcquire(maxWaitingElements) {
			t.Fatal("the budget of elements leaks")
		}
		b.requestElements.Release(maxWaitingElements)
	})
}

// FuzzLogin does the same at a listener that asks who is there, where nobody has
// a password: besides, nothing may be done. What comes begins with the version of
// a handshake, or with none.
func FuzzLogin(f *testing.F) {
	format := kmsg.NewRequestFormatter(kmsg.FormatterClientID("fuzz"))
	mechanisms := []string{auth.ScramSHA256, auth.ScramSHA512, auth.Plain}
	opening := func(version int16, mechanism string) []byte {
		hello := kmsg.NewPtrSASLHandshakeRequest()
		hello.Version, hello.Mechanism = version, mechanism
		return format.AppendRequest(nil, hello, 1)
	}
	authenticate := func(tokens ...string) (out []byte) {
		for i, text := range tokens {
			q := kmsg.NewPtrSASLAuthenticateRequest()
			q.Version, q.SASLAuthBytes = 2, []byte(text)
			out = format.AppendRequest(out, q, int32(i+2))
		}
		return out
	}
	everything := conversations(f)
	all := everything[len(everything)-5]
	f.Add(int8(1), authenticate("n,,n=u,r=abc", "c=biws,r=abc,p=AAAA"))
	f.Add(int8(1), append(authenticate("n,,n=u,r=abc"), all...))
	f.Add(int8(0), append(binary.BigEndian.AppendUint32(nil, 12), "n,,n=u,r=abc"...))
	f.Add(int8(2), all)
	f.Add(int8(2), opening(1, "GSSAPI"))
	f.Add(int8(1), opening(0, auth.Plain))
	lg := &panics{}
	ctx, cancel := context.WithCancel(context.Background())
	b, err := Open(ctx, Config{Engine: memory.New(), Log: lg.logger(), Listeners: []Listener{
		{Addr: "127.0.0.1:0", SASL: &auth.SASL{Mechanisms: mechanisms, FailureDelay: time.Nanosecond}}}})
	if err != nil {
		f.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, version int8, frames []byte) {
		if version >= 0 && version < 2 {
			frames = append(opening(int16(version), mechanisms[len(frames)%2]), frames...)
		}
		c := b.newConnection(b.listeners[0], newScript(frames))
		c.run(t.Context())
		if text := lg.take(); text != "" {
			t.Error(text)
		}
		if c.client.Auth.Ready() || len(b.topics.View().All()) > 0 {
			t.Fatalf("nobody is %v, with topics %v", c.client.Auth.Principal(), b.topics.View().All())
		}
	})
}

// conversations are requests of every key and version, one after the other and
// all together, and what is none.
func conversations(tb testing.TB) [][]byte {
	format := kmsg.NewRequestFormatter(kmsg.FormatterClientID("fuzz"))
	var all [][]byte
	var whole []byte
	for _, r := range wire.Served() {
		for v := r.Min; v <= r.Max; v++ {
			req := kmsg.RequestForKey(r.Key)
			req.SetVersion(v)
			fillSeed(tb, req)
			frame := format.AppendRequest(nil, req, int32(v))
			all, whole = append(all, frame), append(whole, frame...)
		}
	}
	odd := append([]byte{}, all[0]...)
	binary.BigEndian.PutUint16(odd[4:], 18)
	binary.BigEndian.PutUint16(odd[6:], 99)
	return append(all, whole, odd, odd[:7], []byte("GET / HTTP/1.1\r\n\r\n"), nil)
}

// fillSeed gives the requests that would be empty otherwise something to do.
func fillSeed(tb testing.TB, req kmsg.Request) {
	rb := record.NewBuilder(record.Options{})
	rb.Append(1, []byte("k"), []byte("v"))
	batch, err := rb.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	switch q := req.(type) {
	case *kmsg.ProduceRequest:
		q.Acks = -1
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = "t"
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Records = batch
		rt.Partitions = append(rt.Partitions, rp)
		q.Topics = append(q.Topics, rt)
	case *kmsg.FetchRequest:
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic = "t"
		rt.Partitions = append(rt.Partitions, kmsg.NewFetchRequestTopicPartition())
		q.Topics = append(q.Topics, rt)
	case *kmsg.ListOffsetsRequest:
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = "t"
		rt.Partitions = append(rt.Partitions, kmsg.NewListOffsetsRequestTopicPartition())
		q.Topics = append(q.Topics, rt)
	case *kmsg.CreateTopicsRequest:
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "new", 1, 1
		q.Topics = append(q.Topics, rt)
	case *kmsg.JoinGroupRequest:
		// Nobody waits long for a member that does not come again.
		q.Group, q.ProtocolType, q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = "g", "consumer", 100, 100
		q.Protocols = append(q.Protocols, kmsg.NewJoinGroupRequestProtocol())
	case *kmsg.ConsumerGroupHeartbeatRequest:
		q.Group, q.MemberID, q.RebalanceTimeoutMillis = "c", "m", 10_000
		q.SubscribedTopicNames, q.Topics = []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	case *kmsg.OffsetCommitRequest:
		q.Group = "g"
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = "t"
		rt.Partitions = append(rt.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
		q.Topics = append(q.Topics, rt)
	case *kmsg.DescribeConfigsRequest:
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
		q.Resources = append(q.Resources, rr)
	}
}
