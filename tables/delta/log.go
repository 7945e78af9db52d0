package delta

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

const (
	logFolder      = "_delta_log/"
	commitSuffix   = ".json"
	checkSuffix    = ".checkpoint.parquet"
	lastCheckpoint = "_last_checkpoint"
	versionDigits  = 20
	// loadTries bounds how often a load starts again because a cleanup removed
	// files under it.
	loadTries = 5
)

// log is a table's _delta_log: a commit file for each version, put only if
// absent, and checkpoints. Versions are cleaned up lowest first.
type log struct {
	store  blob.Store
	prefix string // ends in logFolder
}

func (l log) key(version int64, suffix string) string {
	return fmt.Sprintf("%s%0*d%s", l.prefix, versionDigits, version, suffix)
}

// version returns which version's file with this suffix the key is.
func (l log) version(key, suffix string) (int64, bool) {
	digits, ok := strings.CutSuffix(strings.TrimPrefix(key, l.prefix), suffix)
	if !ok || len(digits) != versionDigits {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && l.key(n, suffix) == key
}

// load replays the log from its newest checkpoint; nil if there is no log.
func (l log) load(ctx context.Context) (*state, error) {
	var err error
	for range loadTries {
		var s *state
		if s, err = l.loadUpTo(ctx, math.MaxInt64); errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if s != nil && err == nil && !s.ours {
			s.back, err = l.findSetBack(ctx, s)
		}
		return s, err
	}
	return nil, fmt.Errorf("log has a gap: %w: %w", tables.ErrBroken, err)
}

// loadUpTo replays the log up to a version that it has, or to its end.
func (l log) loadUpTo(ctx context.Context, end int64) (*state, error) {
	first, last, check := int64(-1), int64(-1), int64(-1)
	for info, err := range l.store.List(ctx, l.prefix+"0") {
		if err != nil {
			return nil, fmt.Errorf("list log: %w", err)
		}
		if v, ok := l.version(info.Key, commitSuffix); ok {
			if first < 0 {
				first = v
			}
			last = min(v, end)
		} else if v, ok := l.version(info.Key, checkSuffix); ok && v <= end {
			check = v
		}
	}
	if last < 0 && check < 0 {
		return nil, nil
	}
	s := newState()
	if check >= 0 {
		if err := l.restore(ctx, s, check); err != nil {
			return nil, err
		}
	}
	s.oldest = first
	for v := s.version + 1; v <= last; v++ {
		if err := l.replay(ctx, s, v); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// restore applies a checkpoint. It does not say when its version was written:
// that stands in the version's own file.
func (l log) restore(ctx context.Context, s *state, version int64) error {
	actions, err := l.readCheckpoint(ctx, version)
	if err != nil {
		return err
	}
	own, err := l.get(ctx, version)
	if err != nil {
		return err
	}
	if len(own) > 0 && own[0].CommitInfo != nil {
		actions = append(actions, own[0])
	}
	s.checkpoint = version
	if err := s.apply(version, actions); err != nil {
		return err
	}
	s.foreign.recall(s.txns)
	s.foreign.note(version, own)
	return nil
}

// replay applies one commit file to s; blob.ErrNotFound if there is none.
func (l log) replay(ctx context.Context, s *state, version int64) error {
	actions, err := l.get(ctx, version)
	if err != nil {
		return err
	}
	s.foreign.note(version, actions)
	return s.apply(version, actions)
}

func (l log) get(ctx context.Context, version int64) ([]action, error) {
	data, err := l.store.Get(ctx, l.key(version, commitSuffix))
	if err != nil {
		return nil, fmt.Errorf("read version %d: %w", version, err)
	}
	actions, err := decodeActions(data)
	if err != nil {
		return nil, fmt.Errorf("read version %d: %w", version, err)
	}
	return actions, nil
}

// has reports whether a version's commit file is there.
func (l log) has(ctx context.Context, version int64) (bool, error) {
	f, err := l.store.Open(ctx, l.key(version, commitSuffix))
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for version %d: %w", version, err)
	}
	return true, f.Close()
}

// catchUp returns the state as of the log's end: s itself if nothing follows.
// That the next version is free does not tell that: a writer that slept through
// a cleanup finds it so. Then its own version is gone too.
func (l log) catchUp(ctx context.Context, s *state) (*state, error) {
	more, err := l.has(ctx, s.version+1)
	if err != nil {
		return nil, err
	}
	here, err := l.has(ctx, s.version)
	if err != nil {
		return nil, err
	}
	if here && !more {
		return s, nil
	}
	next, err := l.load(ctx)
	if err == nil && next == nil {
		err = fmt.Errorf("the table's log is gone: %w", tables.ErrForeign)
	}
	if err == nil && next.checkpoint > s.version {
		err = l.missed(ctx, s, next)
	}
	return next, err
}

// put writes a version: the commit point. blob.ErrExists if it is taken.
func (l log) put(ctx context.Context, version int64, actions []action) error {
	data, err := encodeActions(actions)
	if err != nil {
		return err
	}
	if err := l.store.PutIfAbsent(ctx, l.key(version, commitSuffix), data); err != nil {
		return fmt.Errorf("write version %d: %w", version, err)
	}
	return nil
}

// isOurs reports whether a version was written by this commit.
func (l log) isOurs(ctx context.Context, version int64, id string) (bool, error) {
	actions, err := l.get(ctx, version)
	if err != nil {
		return false, err
	}
	for _, a := range actions {
		if a.CommitInfo != nil {
			return a.CommitInfo.TxnID == id && id != "", nil
		}
	}
	return false, nil
}

// clean removes versions written before limit (Unix ms) that lie below a
// checkpoint written before it too, lowest first (protocol, "Metadata
// Cleanup"). It returns the oldest version left. A dry run removes none.
func (l log) clean(ctx context.Context, limit int64, dry bool) (int64, error) {
	keep := int64(-1)
	var old []string
	for info, err := range l.store.List(ctx, l.prefix+"0") {
		if err != nil {
			return 0, fmt.Errorf("list log: %w", err)
		}
		if info.ModifiedMs >= limit {
			break // versions are written in order
		}
		if v, ok := l.version(info.Key, checkSuffix); ok {
			keep = v
		}
		old = append(old, info.Key)
	}
	for _, key := range old {
		name := strings.TrimPrefix(key, l.prefix)
		v, err := strconv.ParseInt(name[:min(versionDigits, len(name))], 10, 64)
		if err != nil || v >= keep || dry {
			continue
		}
		if err := l.store.Delete(ctx, key); err != nil {
			return 0, fmt.Errorf("clean log: %w", err)
		}
	}
	return max(0, keep), nil
}
