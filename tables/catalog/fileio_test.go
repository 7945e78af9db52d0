package catalog_test

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
)

func TestFileIO(t *testing.T) {
	store := blob.NewMemory()
	files := catalog.FileIO(t.Context(), store)
	name := store.URL("a/b.avro")
	w, err := files.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadFrom(strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open before close: %v, want ErrNotExist", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second close: %v, want ErrClosed", err)
	}
	if err := files.WriteFile(store.URL("a/c"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	r, err := files.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Seek(1, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	at := make([]byte, 2)
	if _, aerr := r.ReadAt(at, 3); err != nil || aerr != nil || string(rest) != "ello" || string(at) != "lo" {
		t.Errorf("read %q and %q, %v, %v", rest, at, err, aerr)
	}
	if info, err := r.Stat(); err != nil || info.Size() != 5 || info.Name() != "b.avro" || info.IsDir() {
		t.Errorf("stat %v, %v", info, err)
	}
	var walked []string
	err = files.WalkDir(store.URL("a"), func(path string, d fs.DirEntry, err error) error {
		walked = append(walked, path)
		return err
	})
	if want := []string{name, store.URL("a/c")}; err != nil || !slices.Equal(walked, want) {
		t.Errorf("walked %v, %v; want %v", walked, err, want)
	}
	gone, err := files.DeleteFiles(t.Context(), []string{name, name, "file:///etc/passwd"})
	if len(gone) != 2 || !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("deleted %v, %v; want both and ErrInvalid for the one outside", gone, err)
	}
	if _, err := files.ReadFile(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read after delete: %v, want ErrNotExist", err)
	}
}
