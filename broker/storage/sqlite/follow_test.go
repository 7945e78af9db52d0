package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

// rowsOf dumps the tables that make a store, in the order of their keys.
func rowsOf(t *testing.T, path string) string {
	t.Helper()
	db := plain(t, path)
	defer db.Close()
	var out strings.Builder
	for _, q := range []string{
		"select 'chunk', id, hex(dir), hex(data) from chunk order by id",
		`select 'log', id, hex(topic), part || ' ' || start || ' ' || "end" || ' ' || epoch || ' ' || bytes from log order by id`,
		"select 'cut', chunk, log, low || ' ' || high from cut order by chunk, log, low",
		"select 'item', hex(key), version, hex(value) from item order by key",
		"select 'counter', name, value, '' from counter order by name",
		"select 'sequence', name, seq, '' from sqlite_sequence order by name",
	} {
		rows, err := db.QueryContext(t.Context(), q)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		for rows.Next() {
			var v [4]sql.NullString
			if err := rows.Scan(&v[0], &v[1], &v[2], &v[3]); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
			fmt.Fprintln(&out, v[0].String, v[1].String, v[2].String, v[3].String)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return out.String()
}

// copyOf puts a store together from parts.
func copyOf(t *testing.T, all []Part) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	c, err := NewCopy(t.Context(), path)
	if err != nil {
		t.Fatalf("NewCopy: %v", err)
	}
	for _, p := range all {
		got, err := DecodePart(p.Bytes, func(ch Change) error { return c.Apply(t.Context(), ch) })
		if err != nil || got.Whole != p.Whole || got.Time.UnixMilli() != p.Time.UnixMilli() {
			t.Fatalf("DecodePart: got %v at %v, %v; want %v at %v", got.Whole, got.Time, err, p.Whole, p.Time)
		}
	}
	if err := c.Finish(t.Context(), nil); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	return path
}

// step follows a store by hand: each call of next gives the parts of a tick.
type step struct {
	ticks chan time.Time
	got   chan []Part
	ended chan error
}

func follow(t *testing.T, e *Engine) *step {
	s := &step{ticks: make(chan time.Time), got: make(chan []Part, 1), ended: make(chan error, 1)}
	go func() {
		var now []Part
		s.ended <- e.Parts(context.Background(), s.ticks, func(p Part) error {
			now = append(now, p)
			if p.Whole {
				s.got <- now
				now = nil
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		close(s.ticks)
		if err := <-s.ended; err != nil && !errors.Is(err, storage.ErrClosed) {
			t.Errorf("Parts: %v", err)
		}
	})
	return s
}

// TestParts follows a store through everything that changes its rows, and holds
// a copy against it after each tick.
func TestParts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := openWith(t, Config{Path: path, Synchronous: Normal})
	item := func(key, value string) storage.Write {
		return storage.Write{Set: []storage.Item{{Key: key, Version: storage.Any, Value: []byte(value)}}}
	}
	for i := range int64(60) {
		mustCommit(t, e, appendAt(tp0, i, 9000))
		mustCommit(t, e, appendAt(tpOf(1), i, 100))
		mustCommit(t, e, item(fmt.Sprint("k", i), strings.Repeat("v", int(i))))
	}
	s := follow(t, e)
	all := <-s.got
	for n, change := range []func(){
		func() {},
		func() { mustCommit(t, e, appendAt(tp0, 60, 300000)); mustCommit(t, e, item("k3", "new")) },
		func() {
			mustCommit(t, e, storage.Write{Set: []storage.Item{{Key: "k4", Version: storage.Any, Delete: true}}})
			mustCommit(t, e, storage.Write{Trim: []storage.Trim{{TP: tp0, Start: 30}}})
		},
		func() {
			if err := e.do(func() error { return errors.Join(e.merge(tiny), e.merge(thin)) }); err != nil {
				t.Fatal(err)
			}
		},
		func() { tidyUp(t, e) },
		func() { mustCommit(t, e, storage.Write{Trim: []storage.Trim{{TP: tpOf(1), Forget: true}}}) },
		func() {
			for i := range int64(2000) { // more than one transaction reads
				mustCommit(t, e, appendAt(tpOf(int(2+i%3)), i/3, 100))
			}
		},
	} {
		change()
		mustCommit(t, e, item("step", fmt.Sprint(n))) // so that there is always a part
		// The committer tidies up by itself; quiet it, so that there is one state.
		tidyUp(t, e)
		s.ticks <- time.Now()
		all = append(all, <-s.got...)
		if got, want := rowsOf(t, copyOf(t, all)), rowsOf(t, path); got != want {
			t.Errorf("step %d: the copy has other rows:\n%s", n, difference(got, want))
		}
	}
}

// difference is the first line that differs, shortened.
func difference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("line %d: got %.100q, want %.100q", i, a[min(i, len(a)-1)], b[min(i, len(b)-1)])
		}
	}
	return "none"
}

// TestPartsUnderLoad follows a store while others write, and wants every copy to
// be a state between two Writes: each appends to two logs and sets an item to
// their end.
func TestPartsUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := openWith(t, Config{Path: path, Synchronous: Normal})
	stop := make(chan struct{})
	var writers sync.WaitGroup
	write := func(i int64) {
		w := appendAt(tp0, i, 20000)
		w.Append = append(w.Append, appendAt(tpOf(1), i, 100).Append[0])
		w.Set = []storage.Item{{Key: "end", Version: storage.Any, Value: fmt.Append(nil, i+1)}}
		if i%7 == 6 {
			w.Trim = []storage.Trim{{TP: tp0, Start: i - 5}}
		}
		mustCommit(t, e, w)
	}
	write(0)
	writers.Go(func() {
		for i := int64(1); ; i++ {
			select {
			case <-stop:
				return
			default:
				write(i)
			}
		}
	})
	s := follow(t, e)
	all := <-s.got
	for range 5 {
		checkState(t, copyOf(t, all))
		s.ticks <- time.Now()
		all = append(all, <-s.got...)
	}
	close(stop)
	writers.Wait()
	checkState(t, copyOf(t, all))
}

func checkState(t *testing.T, path string) {
	t.Helper()
	e := open(t, path)
	it, err := e.Get(t.Context(), "end")
	if err != nil {
		t.Fatal(err)
	}
	for _, tp := range []storage.TP{tp0, tpOf(1)} {
		if b, err := e.Bounds(t.Context(), tp); err != nil || fmt.Sprint(b.End) != string(it.Value) {
			t.Errorf("%s ends at %d, %v; the item of the same Write says %s", tp, b.End, err, it.Value)
		}
	}
}

// TestCheck damages copies.
func TestCheck(t *testing.T) {
	if err := Check(t.Context(), filepath.Join(t.TempDir(), "none.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	if err := Check(t.Context(), filled(t)); err != nil {
		t.Errorf("a sound store: got %v", err)
	}
	for _, tt := range []struct {
		name, edit string
		want       error
	}{
		{"a byte of a record", "update chunk set data = cast(substr(data, 1, 480) || x'ff' || substr(data, 482) as blob) where id = 2", storage.ErrBroken},
		{"a directory", "update chunk set dir = substr(dir, 1, length(dir) - 1) where id = 2", storage.ErrBroken},
		{"another program's", "pragma application_id = 5", ErrFormat},
	} {
		path := filled(t)
		edit(t, path, tt.edit)
		if err := Check(t.Context(), path); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// FuzzDecodePart feeds bytes from outside.
func FuzzDecodePart(f *testing.F) {
	c := Change{Kind: PutItem, Key: []byte("k"), Numbers: []int64{7}, Blobs: [][]byte{[]byte("v")}}
	chunk := Change{Kind: PutChunk, ID: 3, Blobs: [][]byte{{1}, storagetest.Batch(0, 1, 100)}}
	f.Add(chunk.Append(c.Append(nil)))
	f.Add([]byte(partMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := DecodePart(b, func(Change) error { return nil }); err != nil && !errors.Is(err, ErrPart) && !errors.Is(err, ErrChange) {
			t.Errorf("got %v", err)
		}
		for rest := b; len(rest) > 0; {
			var c Change
			var err error
			before := rest
			if c, rest, err = DecodeChange(rest); err != nil {
				break
			}
			again, left, err := DecodeChange(c.Append(nil))
			if err != nil || len(left) > 0 || !bytes.Equal(again.Append(nil), c.Append(nil)) {
				t.Fatalf("%x: decoded anew: %v", before, err)
			}
		}
	})
}
