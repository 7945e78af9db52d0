package broker_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
)

// TestSlowReaders has clients ask and never read, until all memory for answers is
// theirs. Another one waits in vain first, no longer than it wants to; then they are
// cut off and it is served.
func TestSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const batch = 100_000
		b, err := broker.Open(t.Context(), broker.Config{
			Engine: memory.New(), AnswerBytes: 20 * batch, Listeners: []broker.Listener{{Addr: "127.0.0.1:0"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.RunLogs(t)
		w := b.Pipe(t)
		tp, err := b.Topics().Create(t.Context(), topic.Spec{Name: "t", Partitions: 1})
		if err != nil {
			t.Fatal(err)
		}
		sendTo(t, w, frame(1, produceRequest(t, tp, strings.Repeat("x", batch))))
		receiveFrom(t, w)
		fetch := fetchRequestOf(tp, 0)
		fetch.MaxWaitMillis = 500
		slows := make([]net.Conn, 30)
		for i := range slows {
			slows[i] = b.Pipe(t)
			sendTo(t, slows[i], frame(2, fetch))
			synctest.Wait()
		}
		held := 0
		for {
			begun := time.Now()
			sendTo(t, w, frame(2, fetch))
			if _, body := receiveFrom(t, w); len(body) > batch {
				break
			}
			if took := time.Since(begun); took != 500*time.Millisecond {
				t.Errorf("an answer without records took %v, want the max wait", took)
			}
			if held++; held > 100 {
				t.Fatal("slow readers keep others from reading for ever")
			}
		}
		if held == 0 {
			t.Error("slow readers hold less than there is")
		}
		time.Sleep(time.Second)
		for i, c := range slows {
			// Some were told that there is no room, and hold nothing.
			if n, err := io.Copy(io.Discard, c); n > batch || err != nil {
				t.Errorf("slow reader %d is still there: %d bytes, %v", i, n, err)
			}
		}
		t.Logf("%d answers without records", held)
	})
}
