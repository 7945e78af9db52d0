package broker_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage"
)

// TestRetention lets old records go, but none that is held.
func TestRetention(t *testing.T) {
	held := make(chan int64, 1)
	held <- 3
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.RetentionCheck = time.Millisecond
		c.Hold = func(storage.TP) int64 {
			n := <-held
			held <- n
			return n
		}
	}))
	c := client(t, b)
	hour := "3600000"
	createTopic(t, c, "short", 1, map[string]*string{"retention.ms": &hour})
	for i := range 6 {
		age := 2 * time.Hour
		if i == 5 {
			age = 0
		}
		r := &kgo.Record{Topic: "short", Value: fmt.Append(nil, i), Timestamp: time.Now().Add(-age)}
		if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	awaitStart(t, kadm.NewClient(c), "short", 3)
	<-held
	held <- 100
	awaitStart(t, kadm.NewClient(c), "short", 5)
}

// TestRetentionWithoutTime keeps records that have no timestamp for as long as
// the broker has known them, and not only until it looks for old ones.
func TestRetentionWithoutTime(t *testing.T) {
	var later atomic.Int64
	looked := make(chan struct{}) // one for each look at the log
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.RetentionCheck = time.Millisecond
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		c.Hold = func(storage.TP) int64 {
			select {
			case looked <- struct{}{}:
			case <-t.Context().Done():
			}
			return 1 << 40
		}
	}))
	c := client(t, b)
	hour := "3600000"
	createTopic(t, c, "untimed", 1, map[string]*string{"retention.ms": &hour})
	for i := range 3 {
		r := &kgo.Record{Topic: "untimed", Value: fmt.Append(nil, i), Timestamp: time.UnixMilli(-1)}
		if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	adm := kadm.NewClient(c)
	for range 3 {
		<-looked
	}
	awaitStart(t, adm, "untimed", 0)
	later.Store(int64(30 * time.Minute))
	for range 3 {
		<-looked
	}
	awaitStart(t, adm, "untimed", 0)
	later.Store(int64(2 * time.Hour))
	go func() {
		for {
			select {
			case <-looked:
			case <-t.Context().Done():
				return
			}
		}
	}()
	awaitStart(t, adm, "untimed", 3)
}

// awaitStart waits until the log start offset of partition 0 is want.
func awaitStart(t *testing.T, adm *kadm.Client, topic string, want int64) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		starts, err := adm.ListStartOffsets(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := starts.Lookup(topic, 0)
		if o.Offset == want {
			return
		}
		if o.Offset > want {
			t.Fatalf("log starts at %d, want %d", o.Offset, want)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("log starts at %d, want %d", o.Offset, want)
		}
	}
}
