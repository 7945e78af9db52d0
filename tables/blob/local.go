package blob

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// tempDir holds files that are being written. It is on the same file
	// system as all keys, so that link and rename work, and no key may lie in
	// it.
	tempDir = ".tarn-tmp"
	// tempMaxAge is how old a temporary file must be before opening removes
	// it: older than any write takes, so that a second process that opens the
	// same directory does not pull a file from under the first.
	tempMaxAge = time.Hour
	// mkdirTries bounds how often a write makes its directory again after a
	// concurrent Delete has removed it for being empty.
	mkdirTries = 16
)

// Local is a Store in a directory. Each object is a file at its key. Writes go
// to a temporary file that is fsynced and then moved (Put) or linked
// (PutIfAbsent) to its key, and the directory is fsynced too; the file system
// must have hard links. Nothing outside the directory is reachable through it,
// not by symbolic links either.
type Local struct {
	dir  string // absolute, slash-separated, without slash at the end
	root *os.Root
}

// OpenLocal opens the store in dir and makes the directory if it is missing.
// Leftovers of writes that a crash cut off are removed.
func OpenLocal(dir string) (*Local, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find store directory %s: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("make store directory: %w", err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("open store directory: %w", err)
	}
	l := &Local{dir: strings.TrimSuffix(filepath.ToSlash(abs), "/"), root: root}
	if err := l.clean(); err != nil {
		root.Close()
		return nil, err
	}
	return l, nil
}

// Close ends the use of the directory. Open files stay readable.
func (l *Local) Close() error { return l.root.Close() }

// clean makes the temporary directory and removes what a crash left in it.
func (l *Local) clean() error {
	if err := l.root.MkdirAll(tempDir, 0o755); err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	entries, err := l.readDir(tempDir)
	if err != nil {
		return fmt.Errorf("list temporary files: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < tempMaxAge {
			continue
		}
		if err := l.root.Remove(path.Join(tempDir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove temporary file: %w", err)
		}
	}
	return nil
}

// Put implements Store.
func (l *Local) Put(ctx context.Context, key string, data []byte) error {
	if err := checkCall(ctx, key); err != nil {
		return err
	}
	temp, err := l.writeTemp(data)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	defer l.discard(temp)
	if err := l.place(key, func() error { return l.root.Rename(temp, key) }); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// PutIfAbsent implements Store. link(2) is what decides between callers.
func (l *Local) PutIfAbsent(ctx context.Context, key string, data []byte) error {
	if err := checkCall(ctx, key); err != nil {
		return err
	}
	// Losing is common and cheap to see before writing the file.
	if _, err := l.root.Lstat(key); err == nil {
		return fmt.Errorf("put %s: %w", key, ErrExists)
	}
	temp, err := l.writeTemp(data)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	defer l.discard(temp)
	err = l.place(key, func() error { return l.root.Link(temp, key) })
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("put %s: %w", key, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// Copy implements Store: both keys are then names of one file.
func (l *Local) Copy(ctx context.Context, from, to string) error {
	if err := checkKey(from); err != nil {
		return err
	}
	if err := checkCall(ctx, to); err != nil {
		return err
	}
	temp := tempName()
	err := l.root.Link(from, temp)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("copy %s: %w", from, ErrNotFound)
	}
	if err != nil {
		// Too many links, or a file system without: write the bytes.
		data, err := l.Get(ctx, from)
		if err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
		return l.Put(ctx, to, data)
	}
	// rename(2) does nothing when both are the same file already, so the
	// temporary name is removed in any case.
	defer l.discard(temp)
	if err := l.place(to, func() error { return l.root.Rename(temp, to) }); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	return nil
}

// Get implements Store.
func (l *Local) Get(ctx context.Context, key string) ([]byte, error) {
	if err := checkCall(ctx, key); err != nil {
		return nil, err
	}
	data, err := l.root.ReadFile(key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, notFound(err))
	}
	return data, nil
}

// Open implements Store.
func (l *Local) Open(ctx context.Context, key string) (File, error) {
	if err := checkCall(ctx, key); err != nil {
		return nil, err
	}
	f, err := l.root.Open(key)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, notFound(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotFound
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	return &localFile{f, info.Size()}, nil
}

type localFile struct {
	*os.File
	size int64
}

func (f *localFile) Size() int64 { return f.size }

// Delete implements Store. Directories that become empty go too.
func (l *Local) Delete(ctx context.Context, keys ...string) error {
	dirs := make(map[string]bool)
	for _, key := range keys {
		if err := checkCall(ctx, key); err != nil {
			return err
		}
		err := l.root.Remove(key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete %s: %w", key, err)
		}
		dirs[path.Dir(key)] = true
	}
	for dir := range dirs {
		if err := l.prune(dir); err != nil {
			return fmt.Errorf("delete in %s: %w", dir, err)
		}
	}
	return nil
}

// MakeDir makes the directory that objects below a key lie in. Put does so by
// itself; other programs that write files there may not. It is gone again when
// its last object is deleted.
func (l *Local) MakeDir(ctx context.Context, key string) error {
	if err := checkCall(ctx, key); err != nil {
		return err
	}
	if err := l.makeDir(key); err != nil {
		return fmt.Errorf("make directory %s: %w", key, err)
	}
	return nil
}

// prune removes dir and its parents as far as they are empty, and syncs the
// first that is not.
func (l *Local) prune(dir string) error {
	for dir != "." {
		err := l.root.Remove(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = path.Dir(dir)
	}
	err := l.syncDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements Store. One directory at a time is in memory.
func (l *Local) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		dir := path.Dir(prefix + "x")
		if dir != "." && checkKey(dir) != nil {
			return
		}
		if err := l.walk(ctx, dir, prefix, yield); err != nil && !errors.Is(err, errStop) {
			yield(Info{}, fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

// errStop ends a walk whose caller has seen enough.
var errStop = errors.New("stop")

func (l *Local) walk(ctx context.Context, dir, prefix string, yield func(Info, error) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := l.readDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		key := path.Join(dir, e.Name())
		if key == tempDir {
			continue
		}
		if e.IsDir() {
			if sub := key + "/"; strings.HasPrefix(sub, prefix) || strings.HasPrefix(prefix, sub) {
				if err := l.walk(ctx, key, prefix, yield); err != nil {
					return err
				}
			}
			continue
		}
		if !strings.HasPrefix(key, prefix) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !yield(Info{key, info.Size(), info.ModTime().UnixMilli()}, nil) {
			return errStop
		}
	}
	return nil
}

// readDir returns a directory's entries in the order of their keys, in which a
// directory stands as its name with a slash.
func (l *Local) readDir(dir string) ([]fs.DirEntry, error) {
	f, err := l.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	order := func(e fs.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(order(a), order(b)) })
	return entries, nil
}

// URL implements Store: file:// and the absolute path, not escaped, as lake
// readers expect it.
func (l *Local) URL(key string) string {
	if key == "" {
		return "file://" + l.dir
	}
	return "file://" + l.dir + "/" + key
}

// Key implements Store. file:/path, as Java writes it, is understood too.
func (l *Local) Key(url string) (string, bool) {
	rest, ok := strings.CutPrefix(url, "file:")
	if !ok {
		return "", false
	}
	rest = strings.TrimPrefix(rest, "//")
	key, ok := strings.CutPrefix(rest, l.dir+"/")
	if !ok || checkKey(strings.TrimSuffix(key, "/")) != nil {
		return "", false
	}
	return key, true
}

// writeTemp writes data to a new temporary file and syncs it.
func (l *Local) writeTemp(data []byte) (name string, err error) {
	name = tempName()
	f, err := l.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		l.discard(name)
		return "", err
	}
	return name, nil
}

// discard removes a temporary file. One that stays is removed by a later Open.
func (l *Local) discard(name string) { _ = l.root.Remove(name) }

func tempName() string { return tempDir + "/" + rand.Text() }

// place runs move, which makes key appear, and syncs the directory. A missing
// directory is made first.
func (l *Local) place(key string, move func() error) error {
	dir := path.Dir(key)
	err := move()
	for range mkdirTries {
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err := l.makeDir(dir); err != nil {
			return err
		}
		err = move()
	}
	if err != nil {
		return err
	}
	return l.syncDir(dir)
}

// makeDir makes a directory and its parents, each synced into its parent.
func (l *Local) makeDir(dir string) error {
	if dir == "." {
		return nil
	}
	err := l.root.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := l.makeDir(path.Dir(dir)); err != nil {
			return err
		}
		err = l.root.Mkdir(dir, 0o755)
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		// Made, or removed again, by somebody else: the caller's loop sees.
		return nil
	}
	if err != nil {
		return err
	}
	return l.syncDir(path.Dir(dir))
}

func (l *Local) syncDir(dir string) error {
	f, err := l.root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// notFound says in the contract's words that there is no object: nothing at
// the path, a directory, or a file where a directory would have to be.
func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
		return ErrNotFound
	}
	return err
}
