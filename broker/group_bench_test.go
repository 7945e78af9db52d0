package broker_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
)

// groupPartitions are spread over the members of a benchmarked group.
const groupPartitions = 200

// BenchmarkGroup has members of franz-go join at once until each has its even
// share (form/s), then one leaves until the others have everything (leave/s), on
// SQLite with Kafka's defaults: 3 s of initial delay for classic groups, heartbeats
// each 5 s in consumer groups, each 3 s in franz-go's classic ones.
func BenchmarkGroup(b *testing.B) {
	kinds := map[string][]kgo.Opt{
		"classic":  {kgo.Balancers(kgo.CooperativeStickyBalancer())},
		"consumer": {kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()},
	}
	for _, kind := range []string{"classic", "consumer"} {
		for _, n := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				e := openSQLite(b, filepath.Join(b.TempDir(), "tarn.db"))
				br := brokertest.New(b, brokertest.WithEngine(e), brokertest.WithConfig(func(c *broker.Config) { c.GroupInitialDelay = 0 }))
				b.Cleanup(func() { br.Stop(); e.Close() })
				admin := benchClient(b, br)
				if _, err := kadm.NewClient(admin).CreateTopic(b.Context(), groupPartitions, 1, nil, "t"); err != nil {
					b.Fatal(err)
				}
				var form, leave time.Duration
				for i := range b.N {
					g := &benchGroup{owned: map[int32]int{}, changed: make(chan struct{}, 1)}
					began := time.Now()
					for m := range n {
						g.join(b, br, fmt.Sprint("g", i), m, kinds[kind])
					}
					g.await(b, n)
					form += time.Since(began)
					if n > 1 {
						began = time.Now()
						g.members[0].CloseAllowingRebalance()
						g.await(b, n-1)
						leave += time.Since(began)
					}
					for _, c := range g.members {
						c.CloseAllowingRebalance()
					}
				}
				b.ReportMetric(form.Seconds()/float64(b.N), "form-s")
				if n > 1 {
					b.ReportMetric(leave.Seconds()/float64(b.N), "leave-s")
				}
			})
		}
	}
}

func benchClient(b *testing.B, br *brokertest.Broker, opts ...kgo.Opt) *kgo.Client {
	b.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(br.Address()))...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

// benchGroup watches who has which partition.
type benchGroup struct {
	members []*kgo.Client
	changed chan struct{} // of size 1

	mu    sync.Mutex
	owned map[int32]int // partition → member
}

func (g *benchGroup) join(b *testing.B, br *brokertest.Broker, name string, member int, opts []kgo.Opt) {
	b.Helper()
	change := func(f func(p int32)) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			g.mu.Lock()
			for _, p := range topics["t"] {
				f(p)
			}
			g.mu.Unlock()
			select {
			case g.changed <- struct{}{}:
			default:
			}
		}
	}
	gone := change(func(p int32) {
		if g.owned[p] == member {
			delete(g.owned, p)
		}
	})
	g.members = append(g.members, benchClient(b, br, append([]kgo.Opt{
		kgo.ConsumerGroup(name), kgo.ConsumeTopics("t"), kgo.FetchMaxWait(time.Second),
		kgo.OnPartitionsAssigned(change(func(p int32) { g.owned[p] = member })),
		kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone),
	}, opts...)...))
}

// await returns when n members share all partitions evenly.
func (g *benchGroup) await(b *testing.B, n int) {
	b.Helper()
	end := time.After(2 * time.Minute)
	for !g.even(n) {
		select {
		case <-g.changed:
		case <-end:
			b.Fatalf("%d members do not come to share within two minutes", n)
		}
	}
}

func (g *benchGroup) even(n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := map[int]int{}
	for _, m := range g.owned {
		counts[m]++
	}
	for _, c := range counts {
		if c > (groupPartitions+n-1)/n {
			return false
		}
	}
	return len(g.owned) == groupPartitions && len(counts) == n
}
