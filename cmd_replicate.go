package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/storage/sqlite"
	"github.com/tarn-io/tarn/tables/blob"
)

// replicaRetry is how long a replica waits before it asks again a broker or a
// bucket that does not answer.
const replicaRetry = 3 * time.Second

// ownerKey is the object with the ID of the cluster whose replica it is.
const ownerKey = "cluster"

// errOtherBroker says that a replica is of another broker.
var errOtherBroker = errors.New("the replica is of another broker")

// replicateCmd keeps a replica of a running broker's store.
type replicateCmd struct {
	connect
	To            string        `arg:"" help:"Where the replica lies: a directory, or s3://BUCKET/PREFIX[?endpoint=URL&region=R]."`
	Interval      time.Duration `default:"1s" help:"How often what has changed is written: what may be lost, and how finely --at tells times apart."`
	SnapshotEvery time.Duration `default:"24h" help:"How often everything is written anew: how much a restore has to read."`
	Retention     time.Duration `default:"24h" help:"How far back times can be restored."`
}

// replica is one at work.
type replica struct {
	cmd        *replicateCmd
	std        stdio
	store      blob.Store
	generation string
	number     int // of the next part
	last       time.Time
	said       *once
}

// repeatAfter is how long a trouble that goes on is not told again.
const repeatAfter = time.Minute

// once tells a trouble when it begins, and each minute while it goes on: a broker
// that is away for a night is asked every few seconds.
type once struct {
	to  io.Writer
	why string // what lies under the last one: texts have names and ids that change
	at  time.Time
}

func (o *once) say(err error, then string, now time.Time) {
	under := err
	for next := errors.Unwrap(under); next != nil; next = errors.Unwrap(under) {
		under = next
	}
	if why := under.Error(); why != o.why || now.Sub(o.at) >= repeatAfter {
		o.why, o.at = why, now
		_, _ = fmt.Fprintf(o.to, "tarn: %v; %s\n", err, then)
	}
}

// own is what keeps a replica to the broker that it is of: the first one writes its
// cluster's ID beside the generations. Two brokers in one place would take each
// other's generations away, and a restore would give the one that began last.
func (r *replica) own(ctx context.Context) func(cluster string) error {
	return func(cluster string) error {
		err := r.store.PutIfAbsent(ctx, ownerKey, []byte(cluster+"\n"))
		if err == nil {
			return nil
		}
		there, got := r.store.Get(ctx, ownerKey)
		if got != nil {
			return fmt.Errorf("whose replica it is: %w", errors.Join(err, got))
		}
		if was := strings.TrimSpace(string(there)); was != cluster {
			return fmt.Errorf("%w: that of cluster %s, and the broker's is %s: give each broker a place of its own (or delete %s, if the old one is to be forgotten)", errOtherBroker, was, cluster, r.store.URL(ownerKey))
		}
		return nil
	}
}

// Run replicates until ctx ends. Whatever breaks is told and tried again.
func (c *replicateCmd) Run(ctx context.Context, std stdio) error {
	if c.Interval < minFollow || c.SnapshotEvery < time.Minute || c.Retention < 0 {
		return fmt.Errorf("--interval must be at least %v, --snapshot-every 1m, --retention 0s", minFollow)
	}
	store, err := openReplica(ctx, c.To, true)
	if err != nil {
		return err
	}
	said := &once{to: std.err}
	for {
		r := &replica{cmd: c, std: std, store: store, said: said}
		if r.generation, err = newGeneration(ctx, store, time.Now()); err != nil {
			said.say(err, "trying again", time.Now())
			if !pause(ctx, replicaRetry) {
				return r.bye()
			}
			continue
		}
		round, cancel := context.WithTimeout(ctx, c.SnapshotEvery)
		err := c.parts(round, fmt.Sprintf("follow_ms=%d", c.Interval.Milliseconds()), r.own(ctx), func(b []byte) (sqlite.Part, error) {
			return r.put(ctx, b)
		})
		due := round.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return r.bye()
		case errors.Is(err, errOtherBroker):
			return err
		case due: // time for a new generation
			continue
		case err == nil:
			err = errors.New("the broker has stopped")
		}
		said.say(err, "trying again, with everything anew", time.Now())
		if !pause(ctx, replicaRetry) {
			return r.bye()
		}
	}
}

// bye says where the replica stands.
func (r *replica) bye() error {
	if r.last.IsZero() {
		return errors.New("ended before the first state was whole: what was written of it is of no use")
	}
	_, err := fmt.Fprintf(r.std.out, "the replica ends with the log as of %s\n", r.last.UTC().Format(time.RFC3339Nano))
	return err
}

// put stores one part, and does not give up: the broker waits meanwhile and
// only remembers which rows change.
func (r *replica) put(ctx context.Context, b []byte) (sqlite.Part, error) {
	p, err := sqlite.DecodePart(b, func(sqlite.Change) error { return nil })
	if err != nil {
		return p, err
	}
	key := partKey(r.generation, r.number, p)
	for {
		err := r.store.Put(ctx, key, b)
		if err == nil {
			break
		}
		r.said.say(fmt.Errorf("write %s: %w", r.store.URL(key), err), "trying again", time.Now())
		if !pause(ctx, replicaRetry) {
			return p, ctx.Err()
		}
	}
	r.said.why = "" // what comes after this is another trouble
	r.number++
	if !p.Whole {
		return p, nil
	}
	if r.last.IsZero() {
		fmt.Fprintf(r.std.out, "%s holds the log as of %s, and follows it each %v\n", r.store.URL(""), p.Time.UTC().Format(time.RFC3339Nano), r.cmd.Interval)
		if err := prune(ctx, r.store, r.generation, time.Now().Add(-r.cmd.Retention)); err != nil {
			fmt.Fprintf(r.std.err, "tarn: old generations of the replica stay for now: %v\n", err)
		}
	}
	r.last = p.Time
	return p, nil
}

// pause waits; false: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
