package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// Limits of users.
const (
	// MaxNameBytes bounds a user's name: it is part of an item's key.
	MaxNameBytes = 255
	// MaxUsers bounds the users of a store: all of them are kept in memory.
	MaxUsers = 100_000
	// lookTimeout bounds the look at the store after a failed commit.
	lookTimeout = 10 * time.Second
	keyUser     = "user/"
)

// Store is what users need of a storage.Engine.
type Store interface {
	Commit(ctx context.Context, w storage.Write) error
	Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error]
}

// Errors of changes, each a refusal.
var (
	ErrUnknownUser  = errors.New("no such user or credential")
	ErrUnacceptable = errors.New("credential is not acceptable")
	ErrFromFile     = errors.New("this user is kept in the users file: change it there")
)

// user is what is stored of one.
type user struct {
	Credentials map[Mechanism]Credential `json:"scram"`
	version     int64                    // of the item; 0 in the file's
}

// view is all users as they are at one moment; never written to.
type view struct {
	stored, file map[string]user
}

func (v *view) find(name string) (user, bool) {
	if u, ok := v.file[name]; ok {
		return u, true
	}
	u, ok := v.stored[name]
	return u, ok
}

// Users are those who may sign in with a password. Methods may be called
// concurrently; changes run one at a time.
type Users struct {
	store  Store
	view   atomic.Pointer[view]
	secret []byte // makes the salts of users who are not there
	recent recent

	mu    sync.Mutex // held by the one change under way
	stale bool       // a commit failed and the store was not read since; guarded by mu
}

// OpenUsers reads the users of a store; file may add some, and wins.
func OpenUsers(ctx context.Context, store Store, file *File) (*Users, error) {
	u := &Users{store: store, secret: make([]byte, 32)}
	rand.Read(u.secret)
	stored, err := u.load(ctx)
	if err != nil {
		return nil, err
	}
	u.view.Store(&view{stored: stored, file: file.users()})
	return u, nil
}

// UseFile puts another file's users in the place of those before.
func (u *Users) UseFile(file *File) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.view.Store(&view{stored: u.view.Load().stored, file: file.users()})
}

func (u *Users) load(ctx context.Context) (map[string]user, error) {
	out := map[string]user{}
	for it, err := range u.store.Scan(ctx, keyUser) {
		if err != nil {
			return nil, fmt.Errorf("read users: %w", err)
		}
		one := user{version: it.Version}
		if err := json.Unmarshal(it.Value, &one); err != nil {
			return nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
		out[it.Key[len(keyUser):]] = one
	}
	return out, nil
}

// credential gives a user's credential, or one that nothing fits, which is the
// same each time it is asked for.
func (u *Users) credential(name string, m Mechanism) (Credential, bool) {
	if one, ok := u.view.Load().find(name); ok {
		if c, ok := one.Credentials[m]; ok {
			return c, true
		}
	}
	salt := SHA512.mac(u.secret, "salt "+m.String()+" "+name)[:saltBytes]
	return Credential{
		Salt: salt, Iterations: DefaultIterations,
		StoredKey: m.mac(u.secret, "stored "+name), ServerKey: m.mac(u.secret, "server "+name),
	}, false
}

// Verify reports whether a user has this password. Checking takes milliseconds
// on purpose; a password that was right is right for a minute without, as long
// as the credential is the same.
func (u *Users) Verify(name, password string) bool {
	m := SHA512
	c, known := u.credential(name, m)
	if !known {
		if other, ok := u.credential(name, SHA256); ok {
			m, c, known = SHA256, other, true
		}
	}
	key := recentKey(u.secret, c, name, password)
	if known && u.recent.has(key) {
		return true
	}
	if !c.Matches(m, password) || !known {
		return false
	}
	u.recent.add(key)
	return true
}

// Change is one change of a credential; a nil Set takes it away.
type Change struct {
	User      string
	Mechanism Mechanism
	Set       *Credential
}

// Alter makes changes, each user's all or none, and returns what became of each
// user: nil, ErrUnknownUser, ErrFromFile, ErrUnacceptable or a failure of the
// store. Those that are taken are durable when it returns, in one commit.
func (u *Users) Alter(ctx context.Context, changes []Change) map[string]error {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := map[string]error{}
	for _, c := range changes {
		out[c.User] = nil
	}
	if err := u.refresh(ctx); err != nil {
		return failAll(out, err)
	}
	now := u.view.Load()
	next := map[string]user{}
	for _, c := range changes {
		if out[c.User] == nil {
			out[c.User] = now.apply(next, c)
		}
	}
	var w storage.Write
	for name, one := range next {
		if out[name] != nil {
			continue
		}
		b, err := json.Marshal(one)
		if err != nil {
			return failAll(out, fmt.Errorf("encode user: %w", err))
		}
		w.Set = append(w.Set, storage.Item{Key: keyUser + name, Value: b, Version: one.version, Delete: len(one.Credentials) == 0})
	}
	if len(w.Set) == 0 {
		return out
	}
	if err := u.store.Commit(ctx, w); err != nil {
		u.stale = true
		return failAll(out, errors.Join(err, u.refresh(ctx)))
	}
	stored := maps.Clone(now.stored)
	for _, it := range w.Set {
		name := it.Key[len(keyUser):]
		one := next[name]
		if one.version = it.Version; it.Delete {
			delete(stored, name)
		} else {
			stored[name] = one
		}
	}
	u.view.Store(&view{stored: stored, file: now.file})
	return out
}

// apply works out a user's next state in next.
func (v *view) apply(next map[string]user, c Change) error {
	one, ok := next[c.User]
	if !ok {
		one = v.stored[c.User]
		one.Credentials = maps.Clone(one.Credentials)
	}
	if one.Credentials == nil {
		one.Credentials = map[Mechanism]Credential{}
	}
	_, inFile := v.file[c.User]
	_, there := one.Credentials[c.Mechanism]
	switch {
	case inFile:
		return ErrFromFile
	case c.Set == nil && !there:
		return ErrUnknownUser
	case c.Set == nil:
		delete(one.Credentials, c.Mechanism)
	case len(c.User) > MaxNameBytes:
		return fmt.Errorf("%w: a user's name has at most %d bytes", ErrUnacceptable, MaxNameBytes)
	case len(v.stored) >= MaxUsers && one.version == 0:
		return fmt.Errorf("%w: there are %d users", ErrUnacceptable, len(v.stored))
	default:
		one.Credentials[c.Mechanism] = *c.Set
	}
	next[c.User] = one
	return nil
}

func failAll(out map[string]error, err error) map[string]error {
	for name, had := range out {
		if had == nil {
			out[name] = err
		}
	}
	return out
}

// refresh reads the store again if memory may differ from it. mu is held.
func (u *Users) refresh(ctx context.Context) error {
	if !u.stale {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	stored, err := u.load(ctx)
	if err != nil {
		return err
	}
	u.stale = false
	u.view.Store(&view{stored: stored, file: u.view.Load().file})
	return nil
}

// Info is what anybody may know of a user's credential.
type Info struct {
	Mechanism  Mechanism
	Iterations int
}

// Describe lists the credentials of a user, or false if there is none.
func (u *Users) Describe(name string) ([]Info, bool) {
	one, ok := u.view.Load().find(name)
	var out []Info
	for m, c := range one.Credentials {
		out = append(out, Info{m, c.Iterations})
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Compare(a.Mechanism, b.Mechanism) })
	return out, ok
}

// Names lists all users in order.
func (u *Users) Names() []string {
	v := u.view.Load()
	all := maps.Clone(v.stored)
	maps.Copy(all, v.file)
	return slices.Sorted(maps.Keys(all))
}
