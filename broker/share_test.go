package broker_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
)

// TestShareGroup has franz-go's share consumers work through a topic, two at a
// time, with a restart of the broker on SQLite between: every record is accepted
// once, what was released came again, and nothing is left.
func TestShareGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := openSQLite(t, path)
	b := brokertest.New(t, brokertest.WithEngine(e))
	c := client(t, b)
	createTopic(t, c, "work", 3, nil)
	beginEarliest(t, c, "workers")
	const n = 300
	for i := range n {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "work", Value: []byte(fmt.Sprint(i))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	accepted, released := map[string]int{}, map[string]bool{}
	work(t, b, n/3, accepted, released)
	if len(released) == 0 || len(accepted) == 0 {
		t.Fatalf("%d accepted, %d released", len(accepted), len(released))
	}
	b.Stop()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = openSQLite(t, path)
	defer e.Close()
	b = brokertest.New(t, brokertest.WithEngine(e))
	defer b.Stop()
	work(t, b, n, accepted, released)
	for i := range n {
		if got := accepted[fmt.Sprint(i)]; got != 1 {
			t.Errorf("record %d was accepted %d times", i, got)
		}
	}
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	rg := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
	rg.GroupID = "workers"
	req.Groups = append(req.Groups, rg)
	resp, err := req.RequestWith(t.Context(), client(t, b))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range resp.Groups[0].Topics[0].Partitions {
		if p.Lag != 0 {
			t.Errorf("partition %d: start %d, lag %d", p.Partition, p.StartOffset, p.Lag)
		}
	}
}

// beginEarliest makes a share group begin where logs begin.
func beginEarliest(t *testing.T, c *kgo.Client, group string) {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	earliest := "earliest"
	rc.Name, rc.Value = "share.auto.offset.reset", &earliest
	rr.Configs = append(rr.Configs, rc)
	req.Resources = append(req.Resources, rr)
	if _, err := req.RequestWith(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// work lets two share consumers take turns until that many records are accepted.
// Every tenth value is released when it comes first.
func work(t *testing.T, b *brokertest.Broker, until int, accepted map[string]int, released map[string]bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var workers []*kgo.Client
	for range 2 {
		w := client(t, b, kgo.ConsumeTopics("work"), kgo.ShareGroup("workers"), kgo.FetchMaxWait(100*time.Millisecond))
		defer w.Close()
		workers = append(workers, w)
	}
	for turn := 0; len(accepted) < until; turn++ {
		w := workers[turn%2]
		poll, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		fetches := w.PollRecords(poll, 25)
		stop()
		if ctx.Err() != nil {
			t.Fatalf("%d accepted, want %d", len(accepted), until)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			v := string(r.Value)
			switch {
			case released[v] && r.DeliveryCount() < 2:
				t.Errorf("%s comes again as delivery %d", v, r.DeliveryCount())
			case v[len(v)-1] == '0' && !released[v]:
				released[v] = true
				r.Ack(kgo.AckRelease)
				return
			}
			accepted[v]++
			r.Ack(kgo.AckAccept)
		})
		if err := w.FlushAcks(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
