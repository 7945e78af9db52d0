package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/storage/sqlite"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/blob/s3"
)

// A replica is a folder of generations, each of which is a folder of parts as
// sqlite.Part describes them: the store whole, then what changed.
//
//	<start, Unix ms, 13 digits>-<8 random hex digits>/<number, 10 digits>-<time, Unix ms, 13 digits>-<p|s>
//
// s: with this part all so far are a state of the store; p: more belong to it.
// Objects are written once, in the order of their numbers. A generation's start is
// later than that of each one before it, whatever the clock says.

// replicaAhead bounds the parts that are fetched at a time while one is applied.
const replicaAhead = 8

// errNoState says that a replica does not reach back that far, or is none.
var errNoState = errors.New("no state of that time in the replica")

// openReplica opens where replicas lie; a folder is made if it is not there and
// create is set.
func openReplica(ctx context.Context, url string, create bool) (blob.Store, error) {
	if strings.HasPrefix(url, "s3://") {
		c, err := s3.Parse(url)
		if err != nil {
			return nil, fmt.Errorf("replica %q: %w", url, err)
		}
		return s3.Open(ctx, c)
	}
	dir, err := filepath.Abs(strings.TrimPrefix(url, "file://"))
	if err == nil && create {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("replica %q: %w", url, err)
	}
	return blob.OpenLocal(dir)
}

// generation is one line of states, from everything onwards.
type generation struct {
	name  string
	parts []replicaPart // in the order of their numbers
}

type replicaPart struct {
	key    string
	number int
	time   time.Time
	whole  bool
}

// newGeneration names a generation that comes after all that the replica has: a
// clock that was set back must not put what is new behind what is old.
func newGeneration(ctx context.Context, store blob.Store, now time.Time) (string, error) {
	all, err := generations(ctx, store)
	if err != nil {
		return "", err
	}
	start := now.UnixMilli()
	for _, g := range all {
		if ms, ok := g.start(); ok {
			start = max(start, ms+1)
		}
	}
	var b [4]byte
	_, err = rand.Read(b[:])
	return fmt.Sprintf("%013d-%s", start, hex.EncodeToString(b[:])), err
}

// start reads when a generation began from its name; false: it is not one of ours.
func (g generation) start() (ms int64, ok bool) {
	word, _, _ := strings.Cut(g.name, "-")
	ms, err := strconv.ParseInt(word, 10, 64)
	return ms, err == nil && len(word) == 13
}

func partKey(generation string, number int, p sqlite.Part) string {
	kind := "p"
	if p.Whole {
		kind = "s"
	}
	return fmt.Sprintf("%s/%010d-%013d-%s", generation, number, p.Time.UnixMilli(), kind)
}

// parseKey reads a part's key; false: it is something else.
func parseKey(key string) (string, replicaPart, bool) {
	name, file, _ := strings.Cut(key, "/")
	words := strings.Split(file, "-")
	if len(words) != 3 || len(words[0]) != 10 || len(words[1]) != 13 || words[2] != "p" && words[2] != "s" {
		return "", replicaPart{}, false
	}
	number, err := strconv.Atoi(words[0])
	ms, err2 := strconv.ParseInt(words[1], 10, 64)
	return name, replicaPart{key: key, number: number, time: time.UnixMilli(ms), whole: words[2] == "s"}, err == nil && err2 == nil
}

// generations lists a replica, oldest first.
func generations(ctx context.Context, store blob.Store) ([]generation, error) {
	all := map[string][]replicaPart{}
	for info, err := range store.List(ctx, "") {
		if err != nil {
			return nil, fmt.Errorf("read the replica: %w", err)
		}
		if name, p, ok := parseKey(info.Key); ok {
			all[name] = append(all[name], p)
		}
	}
	var out []generation
	for _, name := range slices.Sorted(maps.Keys(all)) {
		slices.SortFunc(all[name], func(a, b replicaPart) int { return a.number - b.number })
		out = append(out, generation{name, all[name]})
	}
	return out, nil
}

// until are the parts up to the last state at or before a time; none if there is
// no such state.
func (g generation) until(at time.Time) []replicaPart {
	n := 0
	for i, p := range g.parts {
		if p.time.After(at) || p.number != i { // a part that is missing ends it
			break
		}
		if p.whole {
			n = i + 1
		}
	}
	return g.parts[:n]
}

// first is the time of the first state.
func (g generation) first() (time.Time, bool) {
	for i, p := range g.parts {
		if p.whole || p.number != i {
			return p.time, p.whole && p.number == i
		}
	}
	return time.Time{}, false
}

// stateAt are the parts that make the last state at or before a time.
func stateAt(ctx context.Context, store blob.Store, at time.Time) ([]replicaPart, error) {
	all, err := generations(ctx, store)
	if err != nil {
		return nil, err
	}
	for _, g := range slices.Backward(all) {
		if parts := g.until(at); len(parts) > 0 {
			return parts, nil
		}
	}
	for _, g := range all {
		if first, ok := g.first(); ok {
			return nil, fmt.Errorf("%w: it begins at %s", errNoState, first.UTC().Format(time.RFC3339Nano))
		}
	}
	return nil, fmt.Errorf("%w: %s holds no whole state", errNoState, store.URL(""))
}

// fetchParts applies parts in their order, reading some ahead.
func fetchParts(ctx context.Context, store blob.Store, parts []replicaPart, apply func(sqlite.Change) error) error {
	type fetched struct {
		data []byte
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting := make(chan chan fetched, replicaAhead)
	go func() {
		defer close(waiting)
		for _, p := range parts {
			got := make(chan fetched, 1)
			select {
			case waiting <- got:
			case <-ctx.Done():
				return
			}
			go func() {
				data, err := store.Get(ctx, p.key)
				got <- fetched{data, err}
			}()
		}
	}()
	n := 0
	for got := range waiting {
		f := <-got
		err := f.err
		if err == nil {
			_, err = sqlite.DecodePart(f.data, apply)
		}
		if err != nil {
			return fmt.Errorf("part %s: %w", parts[n].key, err)
		}
		n++
	}
	return ctx.Err()
}

// prune deletes generations that nothing within the retention needs: those that
// another had replaced by then, and those of the past that never were whole.
func prune(ctx context.Context, store blob.Store, keep string, before time.Time) error {
	all, err := generations(ctx, store)
	if err != nil {
		return err
	}
	var next time.Time // when the generation after had its first state
	for _, g := range slices.Backward(all) {
		first, whole := g.first()
		if g.name < keep && (!whole || !next.IsZero() && next.Before(before)) {
			keys := make([]string, len(g.parts))
			for i, p := range g.parts {
				keys[i] = p.key
			}
			// The last ones first: what is left of it, if this ends here, is a
			// shorter generation and no gap.
			slices.Reverse(keys)
			for _, key := range keys {
				if err := store.Delete(ctx, key); err != nil {
					return fmt.Errorf("delete generation %s: %w", g.name, err)
				}
			}
			continue
		}
		if whole {
			next = first
		}
	}
	return nil
}

// parseAt reads a point in time: RFC 3339, or how long ago as 5m. A minus says the
// same: nobody restores the future.
func parseAt(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago.Abs()), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--at %q: use a time as %s, or how long ago as 5m", text, now.UTC().Format(time.RFC3339))
	}
	return at, nil
}
