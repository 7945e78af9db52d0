package share

import (
	"bytes"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// FuzzDecode: what is no window is refused, what is one keeps its promises and
// is written as it was meant.
func FuzzDecode(f *testing.F) {
	w := window{start: 3, end: 3}
	w.acquire(acquisition{member: "a", records: 9, locks: 100, limit: 5}, 3, []extent{{0, 4, false}, {5, 9, true}, {12, 20, false}})
	f.Add(w.encode())
	f.Add([]byte{stateVersion, 0, 0})
	f.Add([]byte{stateVersion, 1, 2, 3, 4, 5, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := decode(b)
		if err != nil {
			return
		}
		w.check(t)
		first := w.encode()
		again, err := decode(first)
		if err != nil {
			t.Fatalf("%x is written as %x: %v", b, first, err)
		}
		if second := again.encode(); !bytes.Equal(first, second) {
			t.Fatalf("written as %x, then as %x", first, second)
		}
	})
}

// FuzzKey: a key that is read names what was read.
func FuzzKey(f *testing.F) {
	f.Add(key{topicID(1), 3}.item("a/b"))
	f.Add("share//0/0")
	f.Fuzz(func(t *testing.T, s string) {
		group, k, ok := parseKey(s)
		if !ok {
			return
		}
		if g2, k2, ok := parseKey(k.item(group)); !ok || g2 != group || k2 != k {
			t.Fatalf("%q is %q %v, written and read again %q %v %v", s, group, k, g2, k2, ok)
		}
	})
}

// FuzzWindow does to a window what bytes say: it keeps its promises, and nothing
// is given to two members, nor given again once it is done.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{0, 1, 9, 20, 3, 1, 1, 2, 5, 1, 4, 9, 0, 0, 2, 7, 20, 40})
	f.Fuzz(func(t *testing.T, ops []byte) {
		const locks, limit = 16, 3
		var w window
		now := time.UnixMilli(0)
		finished := map[int64]bool{}
		next := func() int64 {
			if len(ops) == 0 {
				return 0
			}
			b := ops[0]
			ops = ops[1:]
			return int64(b)
		}
		for op := opID(1); len(ops) > 0 && op < 100; op++ {
			m := string('a' + rune(next()%3))
			switch next() % 6 {
			case 0, 1:
				from, _, ok := w.from(next()%64, locks)
				if !ok {
					continue
				}
				e := extent{from, from + next()%16, next()%8 == 0}
				before := w.clone()
				got, _, _ := w.acquire(acquisition{member: m, until: now.Add(time.Second), records: 1 + next()%8, strict: next()%2 == 0, locks: locks, limit: limit}, from, []extent{e, {e.last + 2, e.last + 5, false}})
				for _, g := range got {
					before.parts([]run{{first: g.first, last: g.last}}, func(s span, _ *run) bool {
						if s.state != available || g.count != s.count+1 {
							t.Fatalf("%s gets %+v, which was %+v", m, g, s)
						}
						return true
					})
					for o := g.first; o <= g.last; o++ {
						if finished[o] {
							t.Fatalf("%d is given again", o)
						}
					}
				}
			case 2:
				a := next() % 128
				runs, code := parseAcks([]ackBatch{{a, a + next()%8, []int8{int8(next() % 6)}}}, true)
				if code != wire.None {
					continue
				}
				if _, code := w.acknowledge(m, runs, op, now.Add(time.Second), limit); code == wire.None {
					ok := next()%4 > 0
					w.settle(op, ok)
					for o := max(runs[0].first, 0); ok && o <= runs[0].last && runs[0].kind != ackRelease && runs[0].kind != ackRenew; o++ {
						finished[o] = true
					}
				}
			case 3:
				now = now.Add(time.Duration(next()) * 10 * time.Millisecond)
				w.expire(now, limit)
			case 4:
				w.release(m, limit)
			default:
				if next()%8 == 0 {
					w.advance(w.start + next()%4)
				}
				restarted, err := decode(w.encode())
				if err != nil {
					t.Fatal(err)
				}
				if next()%4 == 0 {
					w = restarted
				}
			}
			w.check(t)
			if w.end-w.start > overrun*locks+64 { // 64: offsets between batches
				t.Fatalf("%d records in flight", w.end-w.start)
			}
		}
	})
}
