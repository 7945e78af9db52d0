package blob

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Store that keeps objects in memory, for tests and the memory
// engine. It lasts as long as the process.
type Memory struct {
	mu      sync.RWMutex
	objects map[string]object // guarded by mu; data is never changed
}

type object struct {
	data       []byte
	modifiedMs int64
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{objects: make(map[string]object)}
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, key string, data []byte) error {
	if err := checkCall(ctx, key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = object{bytes.Clone(data), time.Now().UnixMilli()}
	return nil
}

// PutIfAbsent implements Store.
func (m *Memory) PutIfAbsent(ctx context.Context, key string, data []byte) error {
	if err := checkCall(ctx, key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.objects[key]; taken {
		return fmt.Errorf("put %s: %w", key, ErrExists)
	}
	m.objects[key] = object{bytes.Clone(data), time.Now().UnixMilli()}
	return nil
}

// Copy implements Store.
func (m *Memory) Copy(ctx context.Context, from, to string) error {
	if err := checkKey(from); err != nil {
		return err
	}
	if err := checkCall(ctx, to); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[from]
	if !ok {
		return fmt.Errorf("copy %s: %w", from, ErrNotFound)
	}
	m.objects[to] = object{o.data, time.Now().UnixMilli()}
	return nil
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, error) {
	o, err := m.find(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return bytes.Clone(o.data), nil
}

// Open implements Store.
func (m *Memory) Open(ctx context.Context, key string) (File, error) {
	o, err := m.find(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	return memoryFile{bytes.NewReader(o.data)}, nil
}

func (m *Memory) find(ctx context.Context, key string) (object, error) {
	if err := checkCall(ctx, key); err != nil {
		return object{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, ok := m.objects[key]
	if !ok {
		return object{}, ErrNotFound
	}
	return o, nil
}

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

// List implements Store. It lists what was there when it began.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		var infos []Info
		m.mu.RLock()
		for key, o := range m.objects {
			if strings.HasPrefix(key, prefix) {
				infos = append(infos, Info{key, int64(len(o.data)), o.modifiedMs})
			}
		}
		m.mu.RUnlock()
		slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
		for _, info := range infos {
			if err := ctx.Err(); err != nil {
				yield(Info{}, fmt.Errorf("list %q: %w", prefix, err))
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := checkCall(ctx, key); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.objects, key)
	}
	return nil
}

// URL implements Store. No outside reader can follow it.
func (m *Memory) URL(key string) string { return "memory://" + key }

// Key implements Store.
func (m *Memory) Key(url string) (string, bool) {
	key, ok := strings.CutPrefix(url, "memory://")
	if !ok || checkKey(strings.TrimSuffix(key, "/")) != nil {
		return "", false
	}
	return key, true
}
