package auth

import (
	"sync"
	"time"
)

// Limits of what is remembered of right passwords.
const (
	// recentFor is how long: clients over HTTP send theirs with every request.
	recentFor = time.Minute
	// maxRecent bounds them; all are forgotten when there are more.
	maxRecent = 10_000
)

// recent remembers passwords that were right a moment ago, by a keyed hash.
// The zero value is ready. Safe for concurrent use.
type recent struct {
	mu   sync.Mutex
	till map[[32]byte]time.Time // guarded by mu
}

// recentKey is of a password and of the credential that it was right for.
func recentKey(secret []byte, c Credential, name, password string) (key [32]byte) {
	copy(key[:], SHA256.mac(secret, "recent "+string(c.StoredKey)+"\x00"+name+"\x00"+password))
	return key
}

func (r *recent) has(key [32]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.till[key])
}

func (r *recent) add(key [32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.till == nil || len(r.till) >= maxRecent {
		r.till = map[[32]byte]time.Time{}
	}
	r.till[key] = time.Now().Add(recentFor)
}
