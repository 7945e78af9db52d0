package broker

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestElements pipelines requests of as many elements as there may be, and reads
// no answer: two of them are decoded, the others wait as bytes.
func TestElements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, client := piped(t, Listener{})
		q := kmsg.NewPtrMetadataRequest()
		q.Version = 4
		for i := range wire.MaxElements {
			name := fmt.Sprintf("t%d", i)
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic = &name
			q.Topics = append(q.Topics, rt)
		}
		frame := kmsg.NewRequestFormatter().AppendRequest(nil, q, 1)
		const n = 3
		sent := make(chan error, 1)
		go func() {
			var err error
			for i := 0; i < n && err == nil; i++ {
				_, err = client.Write(frame)
			}
			sent <- err
		}()
		synctest.Wait()
		if got := taken(b.requestElements, maxWaitingElements); got != maxConnectionElements {
			t.Errorf("%d elements wait for their answers, want %d", got, maxConnectionElements)
		}
		for range n {
			var size [4]byte
			if _, err := io.ReadFull(client, size[:]); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, client, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := taken(b.requestElements, maxWaitingElements); got != 0 {
			t.Errorf("%d elements are held when all is answered", got)
		}
	})
}

// TestStrangers has clients that do not say who they are announce large frames:
// others must find their budget as it was.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, client := piped(t, Listener{SASL: &auth.SASL{Mechanisms: []string{auth.Plain}}})
		announced := binary.BigEndian.AppendUint32(nil, wire.MaxFrameBeforeAuth)
		if _, err := client.Write(append(announced, 0, 36, 0, 1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := taken(b.requestBytes, maxRequestBytes); got != 0 {
			t.Errorf("%d bytes of the budget of requests are a stranger's", got)
		}
		if got := taken(b.strangerBytes, maxStrangerBytes); got != wire.MaxFrameBeforeAuth {
			t.Errorf("%d bytes of strangers, want %d", got, wire.MaxFrameBeforeAuth)
		}
	})
}

// piped opens a broker with one connection, and gives its other end.
func piped(t *testing.T, ln Listener) (*Broker, net.Conn) {
	t.Helper()
	ln.Addr = "127.0.0.1:0"
	b, err := Open(t.Context(), Config{Engine: memory.New(), Listeners: []Listener{ln}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b, b.Pipe(t)
}

// Pipe gives the other end of a new connection to the first listener.
func (b *Broker) Pipe(t *testing.T) net.Conn {
	server, client := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.newConnection(b.listeners[0], pipe{server}).run(t.Context())
	}()
	t.Cleanup(func() {
		client.Close()
		<-ended
	})
	return client
}

// RunLogs runs what appends need, in place of Run.
func (b *Broker) RunLogs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.logs.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		b.close()
	})
}

// taken is how much of a budget is held by anybody.
func taken(budget interface {
	TryAcquire(int64) bool
	Release(int64)
}, all int64) int64 {
	low, high := int64(0), all // room for low, not for more than high
	for low < high {
		mid := (low + high + 1) / 2
		if budget.TryAcquire(mid) {
			budget.Release(mid)
			low = mid
		} else {
			high = mid - 1
		}
	}
	return all - low
}

// TestSmallHeap has the budgets follow the heap, and a request in that is larger
// than all of its budget.
func TestSmallHeap(t *testing.T) {
	for _, c := range []struct{ heap, usual, want int64 }{
		{0, 256 << 20, 256 << 20},
		{roomyHeap, 256 << 20, 256 << 20},
		{1 << 30, 256 << 20, 128 << 20},
		{205 << 20, 32 << 20, leastBudget},
		{1, 4 << 20, 4 << 20},
	} {
		if got := (Config{HeapBytes: c.heap}).budget(c.usual); got != c.want {
			t.Errorf("%d of a heap of %d: got %d, want %d", c.usual, c.heap, got, c.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b, err := Open(t.Context(), Config{Engine: memory.New(), HeapBytes: 1 << 20, Listeners: []Listener{{Addr: "127.0.0.1:0"}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.close)
		client := b.Pipe(t)
		// A Produce that the decoder refuses, and nothing is left of it.
		frame := binary.BigEndian.AppendUint32(nil, 2*leastBudget)
		frame = append(frame, 0, 0, 0, 13)
		if _, err := client.Write(append(frame, make([]byte, 100)...)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := taken(b.requestBytes, leastBudget); got != leastBudget {
			t.Errorf("%d bytes are held for a request that is larger than the budget, want all of it", got)
		}
		if _, err := client.Write(make([]byte, 2*leastBudget-104)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := taken(b.requestBytes, leastBudget); got != 0 {
			t.Errorf("%d bytes are held after the answer", got)
		}
	})
}
