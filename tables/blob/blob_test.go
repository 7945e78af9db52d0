package blob_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/blob/blobtest"
)

func TestLocal(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return openLocal(t, t.TempDir()) })
}

func TestMemory(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return blob.NewMemory() })
}

func TestFaultyWithoutFaults(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return blobtest.NewFaulty(blob.NewMemory()) })
}

func openLocal(t *testing.T, dir string) *blob.Local {
	t.Helper()
	s, err := blob.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A crash in a write leaves a temporary file: it is never listed, and a later
// open removes it once it is too old to be a write of another process.
func TestLocalLeftovers(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	old := filepath.Join(dir, ".tarn-tmp", "old")
	young := filepath.Join(dir, ".tarn-tmp", "young")
	for _, name := range []string{old, young} {
		if err := os.WriteFile(name, []byte("torn"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("listed %v, %v, want nothing", info, err)
	}
	if _, err := s.Get(t.Context(), ".tarn-tmp/young"); !errors.Is(err, blob.ErrKey) {
		t.Errorf("get of a temporary file: got %v, want ErrKey", err)
	}
	openLocal(t, dir)
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("old leftover: got %v, want it removed", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("young leftover: got %v, want it kept", err)
	}
}

// Every write must clean up after itself, winners and losers alike.
func TestLocalLeavesNoTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	s, ctx := openLocal(t, dir), t.Context()
	for range 3 {
		if err := s.Put(ctx, "a", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := s.Copy(ctx, "a", "b/c"); err != nil {
			t.Fatal(err)
		}
		if err := s.PutIfAbsent(ctx, "d", nil); err != nil && !errors.Is(err, blob.ErrExists) {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, ".tarn-tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files: got %v, %v, want none", left, err)
	}
}

func TestLocalCopyLinks(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	if err := s.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Copy(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	a, errA := os.Stat(filepath.Join(dir, "a"))
	b, errB := os.Stat(filepath.Join(dir, "b"))
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		t.Errorf("copy is not a link: %v, %v", errA, errB)
	}
}

// Symbolic links must not lead out of the store.
func TestLocalStaysInside(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := openLocal(t, dir)
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "door")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "door/secret"); err == nil {
		t.Errorf("get through a link: got %q, want an error", got)
	}
	if err := s.Put(t.Context(), "door/planted", nil); err == nil {
		t.Errorf("put through a link: got no error")
	}
}

func TestLocalURL(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	if got, want := s.URL("ns/t"), "file://"+filepath.ToSlash(dir)+"/ns/t"; got != want {
		t.Errorf("url: got %s, want %s", got, want)
	}
	if got, ok := s.Key("file:" + filepath.ToSlash(dir) + "/ns/t"); !ok || got != "ns/t" {
		t.Errorf("key of Java's form: got %q, %v, want ns/t", got, ok)
	}
}
