package iceberg

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables/catalog"
)

// recorder remembers which files were written for a snapshot, so that those
// which it does not need can go: all of them when the commit is refused, and
// manifests that were merged into others at once when it is not.
type recorder struct {
	mu    sync.Mutex
	names []string // guarded by mu
}

func (r *recorder) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = append(r.names, name)
}

// files is the table's file system with the recorder in it.
func (r *recorder) files(t *tbl) table.FSysF {
	return func(ctx context.Context) (iceio.IO, error) {
		return recordingIO{t.files(ctx), r}, nil
	}
}

// superseded are the files that the snapshot does not name; none if that
// cannot be told.
func (r *recorder) superseded(ctx context.Context, t *tbl, snap *table.Snapshot) []string {
	if snap == nil || len(r.names) <= 2 { // a manifest and the list
		return nil
	}
	manifests, err := snap.Manifests(t.files(context.WithoutCancel(ctx)))
	if err != nil {
		return nil
	}
	used := []string{snap.ManifestList}
	for _, m := range manifests {
		used = append(used, m.FilePath())
	}
	return slices.DeleteFunc(slices.Clone(r.names), func(name string) bool { return slices.Contains(used, name) })
}

// tidy deletes files that nothing refers to. What stays is found by a sweep.
func (t *tbl) tidy(ctx context.Context, names []string) {
	files := t.files(context.WithoutCancel(ctx))
	var errs error
	for _, name := range names {
		errs = errors.Join(errs, files.Remove(name))
	}
	if errs != nil {
		t.opts.Logger.Warn("files of a commit stay", "table", strings.Join(t.ident, "."), "error", errs)
	}
}

type recordingIO struct {
	catalog.FS
	rec *recorder
}

// Create records the name and creates.
func (r recordingIO) Create(name string) (iceio.FileWriter, error) {
	r.rec.add(name)
	return r.FS.Create(name)
}

// WriteFile records the name and writes.
func (r recordingIO) WriteFile(name string, p []byte) error {
	r.rec.add(name)
	return r.FS.WriteFile(name, p)
}
