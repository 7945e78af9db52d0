// Package blob is the object store that tables lie in: a local directory whose
// writes are fsynced, or an S3-compatible bucket. It offers the one primitive
// that lake formats are built on, put-if-absent.
package blob

import (
	"context"
	"errors"
	"io"
	"iter"
)

// Errors of the contract.
var (
	// ErrExists is refused: the key is taken; nothing was written.
	ErrExists = errors.New("object exists")
	// ErrNotFound says that there is no object at the key.
	ErrNotFound = errors.New("no such object")
	// ErrUnreachable says that the service behind a store could not be talked to: a
	// write may have happened.
	ErrUnreachable = errors.New("cannot be reached")
)

// Info describes an object.
type Info struct {
	Key        string
	Size       int64 // bytes
	ModifiedMs int64 // Unix ms
}

// File is an open object for random reads. ReadAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Store keeps objects by key. Keys are slash-separated, relative, clean paths.
// All methods may be called concurrently. A write is durable on return and
// never seen in part.
type Store interface {
	// Put writes an object, replacing what was there.
	Put(ctx context.Context, key string, data []byte) error
	// PutIfAbsent writes an object only if the key is free, else ErrExists.
	// Of any number of concurrent callers exactly one succeeds. Any other
	// error means that the outcome is unknown.
	PutIfAbsent(ctx context.Context, key string, data []byte) error
	// Copy makes the object at from appear at to, replacing what was there.
	// Objects are immutable to their users: a local store links.
	Copy(ctx context.Context, from, to string) error
	// Get returns an object whole; ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Open opens an object for random reads; ErrNotFound.
	Open(ctx context.Context, key string) (File, error)
	// List yields the objects whose key begins with prefix, in key order.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Delete removes objects; those that are not there are no error.
	Delete(ctx context.Context, keys ...string) error
	// URL is the address by which outside readers find the object or prefix:
	// file:///… or s3://….
	URL(key string) string
	// Key is the inverse of URL; false if the address lies outside the store.
	Key(url string) (string, bool)
}
