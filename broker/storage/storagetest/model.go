package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// seedEnv names the environment variable that replays one seed of testModel.
const seedEnv = "TARN_SEED"

// testModel applies random Writes to an engine and to a plain model of the
// contract and compares everything that can be seen. Half of the Writes hold a
// wrong expectation.
func testModel(t *testing.T, open Open) {
	seeds := []uint64{1, 2, 3, rand.Uint64()}
	if s := os.Getenv(seedEnv); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedEnv, err)
		}
		seeds = []uint64{n}
	}
	for i, seed := range seeds {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Logf("%s=%d replays this run", seedEnv, seed)
			eng, reopen := open(t)
			m := &model{t: t, eng: eng, rng: rand.New(rand.NewPCG(seed, 0)),
				logs: map[storage.TP]*modelLog{}, items: map[string]storage.Item{}}
			for step := range 250 {
				m.step()
				if t.Failed() {
					t.Fatalf("stopped at step %d", step)
				}
				if step%25 == 24 {
					m.compare()
				}
				if step%50 == 49 && reopen != nil {
					m.eng = reopen()
					m.compare()
				}
			}
		})
	}
}

// model is the contract with slices and maps.
type model struct {
	t     *testing.T
	eng   storage.Engine
	rng   *rand.Rand
	logs  map[storage.TP]*modelLog
	items map[string]storage.Item
	last  int64 // highest version seen
}

type modelLog struct {
	start, end int64
	epoch      int32
	batches    [][]byte // those at or after start
}

func header(b []byte) record.Header {
	h, _ := record.ParseHeader(b)
	return h
}

// step makes one random Write and applies it on both sides.
func (m *model) step() {
	w := m.write()
	logs, items := m.conflicts(w)
	wrong := len(logs)+len(items) > 0
	err := m.eng.Commit(m.t.Context(), w)
	var c *storage.Conflict
	switch {
	case !wrong && err != nil:
		m.t.Fatalf("Commit: %v of %+v", err, w)
	case wrong && !errors.As(err, &c):
		m.t.Fatalf("Commit: got %v, want conflicts %v %v", err, logs, items)
	case wrong:
		if got := conflictNames(c); !slices.Equal(got, append(logs, items...)) {
			m.t.Fatalf("conflict: got %v, want %v %v", got, logs, items)
		}
		return
	}
	m.apply(w)
}

func conflictNames(c *storage.Conflict) []string {
	var out []string
	for _, l := range c.Logs {
		out = append(out, fmt.Sprint(l.TP, l.Replaced, l.WantEnd, l.GotEnd, l.WantEpoch, l.GotEpoch))
	}
	for _, it := range c.Items {
		out = append(out, fmt.Sprint(it.Key, it.Want, it.Got))
	}
	return out
}

// compare checks all bounds, headers, bytes and items.
func (m *model) compare() {
	m.t.Helper()
	for n := range 6 {
		l := m.logs[tp(n)]
		if l == nil {
			if _, err := m.eng.Bounds(m.t.Context(), tp(n)); !errors.Is(err, storage.ErrNoLog) {
				m.t.Errorf("Bounds of no log: got %v", err)
			}
			continue
		}
		all := slices.Concat(l.batches...)
		wantBounds(m.t, m.eng, tp(n), storage.Bounds{Start: l.start, End: l.end, Epoch: l.epoch, Bytes: int64(len(all))})
		var want []record.Header
		for _, b := range l.batches {
			want = append(want, header(b))
		}
		if got := headers(m.t, m.eng, tp(n), 0); !slices.Equal(got, want) {
			m.t.Errorf("Index of log %d: got %v, want %v", n, got, want)
		}
		if got := read(m.t, m.eng, tp(n), 0, 1<<30); !bytes.Equal(got, all) {
			m.t.Errorf("Read of log %d: got %d bytes, want %d", n, len(got), len(all))
		}
		for range 20 {
			m.compareRead(tp(n), l)
		}
	}
	m.compareItems()
}

// compareRead reads at a random offset with a random limit.
func (m *model) compareRead(tp storage.TP, l *modelLog) {
	m.t.Helper()
	offset, maxBytes := m.rng.Int64N(l.end+2), m.rng.IntN(4000)
	var want []byte
	for _, b := range l.batches {
		if header(b).LastOffset() < offset {
			continue
		}
		if len(want) > 0 && len(want)+len(b) > maxBytes {
			break
		}
		want = append(want, b...)
	}
	if got := read(m.t, m.eng, tp, offset, maxBytes); !bytes.Equal(got, want) {
		m.t.Errorf("Read of %s at %d of at most %d: got %d bytes, want %d", tp, offset, maxBytes, len(got), len(want))
	}
}

func (m *model) compareItems() {
	m.t.Helper()
	for _, prefix := range []string{"", "k", "k1", "z"} {
		var want []storage.Item
		for key, it := range m.items {
			if strings.HasPrefix(key, prefix) {
				want = append(want, it)
			}
		}
		slices.SortFunc(want, func(a, b storage.Item) int { return strings.Compare(a.Key, b.Key) })
		i := 0
		for got, err := range m.eng.Scan(m.t.Context(), prefix) {
			if err != nil || i >= len(want) || got.Key != want[i].Key ||
				got.Version != want[i].Version || !bytes.Equal(got.Value, want[i].Value) {
				m.t.Fatalf("Scan %q: item %d is %+v, %v; want %d items", prefix, i, got, err, len(want))
			}
			if one := value(m.t, m.eng, got.Key); one.Version != got.Version || !bytes.Equal(one.Value, got.Value) {
				m.t.Errorf("Get %q: got %+v, Scan had %+v", got.Key, one, got)
			}
			i++
		}
		if i != len(want) {
			m.t.Errorf("Scan %q: got %d items, want %d", prefix, i, len(want))
		}
	}
}
