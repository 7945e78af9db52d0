// Package blobtest is the suite that every blob.Store passes, and a store that
// fails on purpose.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/tables/blob"
)

// Run tests the contract of blob.Store. open returns a new, empty store.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for name, test := range map[string]func(*testing.T, blob.Store){
		"PutGet":       testPutGet,
		"PutIfAbsent":  testPutIfAbsent,
		"Race":         testRace,
		"Copy":         testCopy,
		"Open":         testOpen,
		"List":         testList,
		"ListChanging": testListChanging,
		"Delete":       testDelete,
		"URL":          testURL,
		"Keys":         testKeys,
		"Cancelled":    testCancelled,
		"Aliasing":     testAliasing,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func testPutGet(t *testing.T, s blob.Store) {
	ctx := t.Context()
	if _, err := s.Get(ctx, "a/b"); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("get of nothing: got %v, want ErrNotFound", err)
	}
	for _, want := range []string{"one", "", "three, longer than before"} {
		if err := s.Put(ctx, "a/b", []byte(want)); err != nil {
			t.Fatal(err)
		}
		wantObject(t, s, "a/b", want)
	}
	// A prefix of a key is no object.
	if _, err := s.Get(ctx, "a"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("get of a prefix: got %v, want ErrNotFound", err)
	}
	if _, err := s.Get(ctx, "a/b/c"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("get below an object: got %v, want ErrNotFound", err)
	}
}

func testPutIfAbsent(t *testing.T, s blob.Store) {
	ctx := t.Context()
	if err := s.PutIfAbsent(ctx, "log/0", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := s.PutIfAbsent(ctx, "log/0", []byte("second")); !errors.Is(err, blob.ErrExists) {
		t.Fatalf("second put: got %v, want ErrExists", err)
	}
	wantObject(t, s, "log/0", "first")
	if err := s.Delete(ctx, "log/0"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutIfAbsent(ctx, "log/0", []byte("third")); err != nil {
		t.Fatalf("put after delete: %v", err)
	}
	wantObject(t, s, "log/0", "third")
}

// testRace has 32 writers race for each of some keys, with readers watching:
// one wins, and nobody sees a part of an object.
func testRace(t *testing.T, s blob.Store) {
	const writers, rounds = 32, 8
	ctx := t.Context()
	for round := range rounds {
		key := fmt.Sprintf("race/%d/%020d.json", round, 0)
		body := func(w int) []byte { return bytes.Repeat([]byte{byte('A' + w)}, 40_000) }
		start := make(chan struct{})
		won := make([]bool, writers)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				<-start
				err := s.PutIfAbsent(ctx, key, body(w))
				won[w] = err == nil
				if err != nil && !errors.Is(err, blob.ErrExists) {
					t.Errorf("writer %d: %v", w, err)
				}
				got, err := s.Get(ctx, key)
				if err != nil || len(got) != 40_000 || !bytes.Equal(got, body(int(got[0]-'A'))) {
					t.Errorf("writer %d reads %d bytes, error %v, want one whole object", w, len(got), err)
				}
			})
		}
		close(start)
		wg.Wait()
		got, err := s.Get(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		for w := range writers {
			if want := bytes.Equal(got, body(w)); won[w] != want {
				t.Errorf("writer %d was told %v, its object stands: %v", w, won[w], want)
			}
		}
	}
}

func testCopy(t *testing.T, s blob.Store) {
	ctx := t.Context()
	if err := s.Copy(ctx, "staged/x", "live/x"); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("copy of nothing: got %v, want ErrNotFound", err)
	}
	put(t, s, "staged/x", "rows")
	for range 2 { // again is no error: both are the same object by then
		if err := s.Copy(ctx, "staged/x", "live/x"); err != nil {
			t.Fatal(err)
		}
		wantObject(t, s, "live/x", "rows")
	}
	put(t, s, "staged/x", "other")
	wantObject(t, s, "live/x", "rows")
	if err := s.Copy(ctx, "staged/x", "live/x"); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "live/x", "other")
	if err := s.Delete(ctx, "staged/x"); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "live/x", "other")
	wantKeys(t, s, "", "live/x")
}

func testOpen(t *testing.T, s blob.Store) {
	ctx := t.Context()
	if _, err := s.Open(ctx, "a"); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("open of nothing: got %v, want ErrNotFound", err)
	}
	put(t, s, "a", "0123456789")
	f, err := s.Open(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Size() != 10 {
		t.Errorf("size: got %d, want 10", f.Size())
	}
	part := make([]byte, 4)
	if n, err := f.ReadAt(part, 3); n != 4 || err != nil || string(part) != "3456" {
		t.Errorf("read at 3: got %q (%d, %v), want 3456", part, n, err)
	}
	n, err := f.ReadAt(part, 8)
	if n != 2 || err != io.EOF { //nolint:errorlint // io.ReaderAt promises io.EOF itself; readers compare with it
		t.Errorf("read at 8: got %d, %v, want 2, EOF", n, err)
	}
	// An open file is what it was when opened.
	put(t, s, "a", "replaced")
	if n, err := f.ReadAt(part, 0); n != 4 || err != nil || string(part) != "0123" {
		t.Errorf("read after replacement: got %q (%d, %v), want 0123", part, n, err)
	}
}

func testList(t *testing.T, s blob.Store) {
	// In byte order '-' and '.' come before '/', '0' after it.
	keys := []string{"a-b", "a.b/x", "a/1", "a/10", "a/2", "a/b/c", "a0", "ab/c", "b"}
	for _, k := range slices.Backward(keys) {
		put(t, s, k, k)
	}
	wantKeys(t, s, "", keys...)
	wantKeys(t, s, "a", keys[:8]...)
	wantKeys(t, s, "a/", "a/1", "a/10", "a/2", "a/b/c")
	wantKeys(t, s, "a/1", "a/1", "a/10")
	wantKeys(t, s, "a/b", "a/b/c")
	wantKeys(t, s, "a/b/c", "a/b/c")
	wantKeys(t, s, "a/b/c/", []string{}...)
	wantKeys(t, s, "nothing/here", []string{}...)
	for info, err := range s.List(t.Context(), "a.b") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != 5 || info.ModifiedMs <= 0 {
			t.Errorf("info: got %+v, want size 5 and a time", info)
		}
	}
	seen := 0
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Errorf("list: %v", err)
		}
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("list went on after break")
	}
}

// testListChanging lists while objects come and go: those that stay must all be
// seen.
func testListChanging(t *testing.T, s blob.Store) {
	var want []string
	for i := range 50 {
		k := fmt.Sprintf("d%d/stays", i)
		want = append(want, k)
		put(t, s, k, "x")
	}
	slices.Sort(want)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			k := fmt.Sprintf("d%d/goes/%d", i%50, i)
			if err := s.Put(ctx, k, nil); err != nil && ctx.Err() == nil {
				t.Errorf("put: %v", err)
			}
			if err := s.Delete(ctx, k); err != nil && ctx.Err() == nil {
				t.Errorf("delete: %v", err)
			}
		}
	})
	for range 5 {
		var got []string
		for info, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if info.Key[len(info.Key)-1] == 's' {
				got = append(got, info.Key)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("list while others write: got %d keys, want %d", len(got), len(want))
		}
	}
	cancel()
	wg.Wait()
}

func testDelete(t *testing.T, s blob.Store) {
	ctx := t.Context()
	put(t, s, "a/b/1", "")
	put(t, s, "a/b/2", "")
	put(t, s, "a/3", "")
	if err := s.Delete(ctx, "a/b/1", "a/b/2", "a/never", "x/y/z"); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, "", "a/3")
	if err := s.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	// A prefix that held objects is free to be an object.
	put(t, s, "a/b", "now an object")
	wantKeys(t, s, "", "a/3", "a/b")
}

func testURL(t *testing.T, s blob.Store) {
	for _, key := range []string{"x", "ns/table/parquet/0-1.parquet", "ns/with space"} {
		got, ok := s.Key(s.URL(key))
		if !ok || got != key {
			t.Errorf("key of %s: got %q, %v, want %q", s.URL(key), got, ok, key)
		}
	}
	for _, url := range []string{"", "s3://elsewhere/x", "file:///nowhere/x", s.URL("a/../../b"), s.URL("a") + "/../../x"} {
		if got, ok := s.Key(url); ok {
			t.Errorf("key of %q: got %q, want none", url, got)
		}
	}
}

func testKeys(t *testing.T, s blob.Store) {
	ctx := t.Context()
	for _, key := range []string{"", ".", "..", "../x", "/x", "a//b", "a/", "a/../b", "a/./b", "a\\b", "a\x00b"} {
		if err := s.Put(ctx, key, nil); !errors.Is(err, blob.ErrKey) {
			t.Errorf("put %q: got %v, want ErrKey", key, err)
		}
		if err := s.PutIfAbsent(ctx, key, nil); !errors.Is(err, blob.ErrKey) {
			t.Errorf("put if absent %q: got %v, want ErrKey", key, err)
		}
		if _, err := s.Get(ctx, key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("get %q: got %v, want ErrKey", key, err)
		}
		if err := s.Delete(ctx, key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("delete %q: got %v, want ErrKey", key, err)
		}
	}
}

func testCancelled(t *testing.T, s blob.Store) {
	put(t, s, "a", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "b", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("put: got %v, want Canceled", err)
	}
	if _, err := s.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: got %v, want Canceled", err)
	}
	wantKeys(t, s, "", "a")
}

// testAliasing changes buffers after handing them over.
func testAliasing(t *testing.T, s blob.Store) {
	data := []byte("before")
	if err := s.Put(t.Context(), "a", data); err != nil {
		t.Fatal(err)
	}
	copy(data, "after!")
	wantObject(t, s, "a", "before")
	got, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	copy(got, "after!")
	wantObject(t, s, "a", "before")
}

func put(t *testing.T, s blob.Store, key, body string) {
	t.Helper()
	if err := s.Put(t.Context(), key, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func wantObject(t *testing.T, s blob.Store, key, want string) {
	t.Helper()
	got, err := s.Get(t.Context(), key)
	if err != nil || string(got) != want {
		t.Fatalf("get %s: got %q, %v, want %q", key, got, err, want)
	}
}

func wantKeys(t *testing.T, s blob.Store, prefix string, want ...string) {
	t.Helper()
	var got []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("list %q: got %q, want %q", prefix, got, want)
	}
}
