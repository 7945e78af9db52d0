package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestConsoleKeys asks for keys of a log in which committed and aborted transactions
// take turns, in batches of all lengths, and wants what the whole log has of them, in
// its order. Each is asked for again, when blocks are known, and by pages.
func TestConsoleKeys(t *testing.T) {
	const each = 6000 // records of a partition, several blocks
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	a := asks{t: t, n: openNode(t)}
	want[map[string]any](a, "POST", "/api/topics", `{"name":"t","partitions":3}`, 200)
	cl, err := kgo.NewClient(kgo.SeedBrokers(a.n.broker.Advertised()), kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	all := map[string][]spot{}
	for sent := 0; sent < 3*each; {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		commit, n := rnd.IntN(3) > 0, 1+rnd.IntN(2000)
		var recs []*kgo.Record
		for i := range n {
			key := []byte(fmt.Sprintf("k%d", rnd.IntN(4000)))
			switch rnd.IntN(10_000) {
			case 0, 3, 4, 5, 6, 7, 8:
				key = nil
			case 1, 9, 10, 11, 12, 13:
				key = []byte{}
			case 2:
				key = []byte("\x00\x00\x00\x00\x07k1") // as if a schema had made it
			}
			// Times move backwards, too, as those of several producers do.
			at := time.UnixMilli(1_700_000_000_000 + int64(sent+i)*10 - int64(rnd.IntN(5000)))
			recs = append(recs, &kgo.Record{Partition: int32(rnd.IntN(3)), Key: key, Value: []byte("v"), Timestamp: at})
		}
		if err := cl.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)); err != nil {
			t.Fatal(err)
		}
		if sent += n; commit {
			for _, r := range recs {
				if r.Key != nil {
					all[string(r.Key)] = append(all[string(r.Key)], spot{r.Partition, r.Offset})
				}
			}
		}
	}
	for i := range 60 {
		key := fmt.Sprintf("k%d", rnd.IntN(4400)) // some of which nobody has
		if i%20 == 0 {
			key = ""
		}
		for _, order := range []string{"newest", "oldest", "newest"} {
			limit := 1 + rnd.IntN(4)
			got := a.pages(fmt.Sprintf("key=%s&order=%s&limit=%d", url.QueryEscape(key), order, limit))
			for p := range int32(3) { // the order is that of offsets
				ofPart := slices.DeleteFunc(slices.Clone(got), func(at spot) bool { return at.partition != p })
				if !slices.IsSortedFunc(ofPart, func(x, y spot) int { return int(x.offset - y.offset) }) && order == "oldest" ||
					!slices.IsSortedFunc(ofPart, func(x, y spot) int { return int(y.offset - x.offset) }) && order == "newest" {
					t.Errorf("%s, %s: %v", key, order, got)
				}
			}
			byPlace := func(x, y spot) int { return int(x.partition-y.partition)*1_000_000 + int(x.offset-y.offset) }
			slices.SortFunc(got, byPlace)
			need := slices.Clone(all[key])
			slices.SortFunc(need, byPlace)
			if len(got)+len(need) > 0 && !reflect.DeepEqual(got, need) {
				t.Fatalf("%q, %s: got %v, want %v", key, order, got, need)
			}
		}
	}
	// What was read before is passed over: none of it is read again for a key that is not there.
	got := want[browseAnswer](a, "GET", "/api/topics/t/records?key=nobody&scan=8192", "", 200)
	if got.Why != "end" || got.Scanned < 3*each {
		t.Errorf("a key that nobody has: %+v", got.browseEnd)
	}
}

// spot is where a record is.
type spot struct {
	partition int32
	offset    int64
}

// pages collects the spots of all records that a request for some of them comes to.
func (a asks) pages(query string) (all []spot) {
	a.t.Helper()
	for cursor := ""; ; {
		got := want[browseAnswer](a, "GET", "/api/topics/t/records?"+query+"&cursor="+cursor, "", 200)
		for _, r := range got.Records {
			all = append(all, spot{r.Partition, r.Offset})
		}
		if cursor = got.Cursor; got.Why == "end" {
			return all
		}
	}
}
