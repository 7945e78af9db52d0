package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	iceio "github.com/apache/iceberg-go/io"

	"github.com/tarn-io/tarn/tables/blob"
)

// fileIO is iceberg-go's file system over our store. iceberg-go's own local
// one does not fsync, so a commit acknowledged by it would not survive a power
// cut. Names are the store's URLs.
type fileIO struct {
	// ctx is that of the operation the IO was made for: iceberg-go's methods
	// take none.
	ctx   context.Context
	store blob.Store
}

var _ FS = fileIO{}

// FS is what our file system offers of iceberg-go's.
type FS interface {
	iceio.ReadFileIO
	iceio.WriteFileIO
	iceio.ListableIO
	iceio.BulkRemovableIO
}

// FileIO returns the store as iceberg-go wants it, for use within ctx. Writes
// are durable on Close or return; removing what is not there is no error.
func FileIO(ctx context.Context, store blob.Store) FS { return fileIO{ctx, store} }

func (f fileIO) key(op, name string) (string, error) {
	key, ok := f.store.Key(name)
	if !ok {
		return "", &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("outside the warehouse: %w", fs.ErrInvalid)}
	}
	return key, nil
}

func pathError(op, name string, err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Open opens an object for reading.
func (f fileIO) Open(name string) (iceio.File, error) {
	key, err := f.key("open", name)
	if err != nil {
		return nil, err
	}
	obj, err := f.store.Open(f.ctx, key)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &reader{SectionReader: io.NewSectionReader(obj, 0, obj.Size()), obj: obj, name: path.Base(key)}, nil
}

// ReadFile reads an object whole.
func (f fileIO) ReadFile(name string) ([]byte, error) {
	key, err := f.key("read", name)
	if err != nil {
		return nil, err
	}
	b, err := f.store.Get(f.ctx, key)
	if err != nil {
		return nil, pathError("read", name, err)
	}
	return b, nil
}

// Create returns a writer whose Close makes the object.
func (f fileIO) Create(name string) (iceio.FileWriter, error) {
	if _, err := f.key("create", name); err != nil {
		return nil, err
	}
	return &writer{io: f, name: name}, nil
}

// WriteFile makes an object.
func (f fileIO) WriteFile(name string, p []byte) error {
	key, err := f.key("write", name)
	if err != nil {
		return err
	}
	if err := f.store.Put(f.ctx, key, p); err != nil {
		return pathError("write", name, err)
	}
	return nil
}

// Remove deletes an object.
func (f fileIO) Remove(name string) error {
	key, err := f.key("remove", name)
	if err != nil {
		return err
	}
	if err := f.store.Delete(f.ctx, key); err != nil {
		return pathError("remove", name, err)
	}
	return nil
}

// DeleteFiles deletes objects.
func (f fileIO) DeleteFiles(ctx context.Context, names []string) (deleted []string, err error) {
	for _, name := range names {
		if rerr := (fileIO{ctx, f.store}).Remove(name); rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		deleted = append(deleted, name)
	}
	return deleted, err
}

// WalkDir calls fn for every object below root; there are no directories.
func (f fileIO) WalkDir(root string, fn fs.WalkDirFunc) error {
	key, err := f.key("walk", root)
	if err != nil {
		return err
	}
	for info, err := range f.store.List(f.ctx, key+"/") {
		if err != nil {
			return fn(root, nil, pathError("walk", root, err))
		}
		name := f.store.URL(info.Key)
		err = fn(name, fs.FileInfoToDirEntry(fileInfo{path.Base(info.Key), info.Size, info.ModifiedMs}), nil)
		if errors.Is(err, fs.SkipAll) || errors.Is(err, fs.SkipDir) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type reader struct {
	*io.SectionReader
	obj  blob.File
	name string
}

func (r *reader) Close() error { return r.obj.Close() }

func (r *reader) Stat() (fs.FileInfo, error) { return fileInfo{r.name, r.obj.Size(), 0}, nil }

type writer struct {
	bytes.Buffer
	io     fileIO
	name   string
	closed bool
}

func (w *writer) Close() error {
	if w.closed {
		return fs.ErrClosed
	}
	w.closed = true
	return w.io.WriteFile(w.name, w.Bytes())
}

type fileInfo struct {
	name       string
	size       int64
	modifiedMs int64
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return 0o444 }
func (i fileInfo) ModTime() time.Time { return time.UnixMilli(i.modifiedMs) }
func (i fileInfo) IsDir() bool        { return false }
func (i fileInfo) Sys() any           { return nil }
