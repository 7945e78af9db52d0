package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/parquet"
)

// round is one look at a topic's tables: rows past their time go, small files
// are merged, old states forgotten, and files that nothing names removed. Every
// step is a commit of the table's own, or removes what no state names; none
// moves the progress. So it may end anywhere, and commits of the sink and of
// others may come in between.
type round struct {
	s             *sink
	opened        bool // look at tables that the sink has opened, and no others
	whole         bool // merge all small files, in every format
	noMerge       bool
	expire, sweep bool
	rest          bool            // pause as long as each rewrite took
	dry           bool            // change nothing, and say what would be done
	did           map[string]Kept // by format
	pending       map[string]bool // keys of files that somebody may commit
	pendingAt     time.Time       // when pending was read

	live []tables.LiveFile // what merge has found; nil: it did not look
}

// count notes the files of a table as they are after a round. Where merging has just
// looked, nobody looks again.
func (r *round) count(ctx context.Context, format string, t tables.Maintainer) (err error) {
	if r.live == nil {
		if r.live, err = t.Live(ctx); err != nil {
			return fmt.Errorf("count files: %w", err)
		}
	}
	r.s.upkeep.saw(format, r.live)
	return nil
}

// run looks at every table, and reports whether it has changed one. A table
// that fails does not hold up the others.
func (r *round) run(ctx context.Context) (did bool, err error) {
	if r.did == nil {
		r.did = map[string]Kept{}
	}
	_, states, _ := r.s.status.get()
	var all []error
	for _, format := range r.s.topic.Formats {
		// Where the sink does not go on by itself somebody has to look first.
		if c := states[format]; r.opened && c.state != Running {
			continue
		}
		if busy, err := r.s.redriveUnderWay(ctx, format); busy || err != nil {
			all = append(all, err)
			continue
		}
		var done Kept
		for _, name := range []string{r.s.topic.Table, r.s.topic.Table + deadSuffix} {
			t, err := r.s.maintained(ctx, format, name, r.opened)
			if err == nil && t != nil {
				r.live = nil
				err = r.table(ctx, format, t, &done)
			}
			if err == nil && t != nil && name == r.s.topic.Table && !r.dry {
				err = r.count(ctx, format, t)
			}
			if err != nil && r.dry {
				return false, fmt.Errorf("%s table %s: %w", format, name, err)
			}
			if err != nil && ctx.Err() == nil {
				done.Error, done.Failed = err.Error(), 1
				all = append(all, fmt.Errorf("%s table %s: %w", format, name, err))
				r.s.lg.Warn("maintenance of a table failed; it is tried again", "format", format, "table", name, "error", err)
			}
		}
		done.AtMs, done.Rounds = time.Now().UnixMilli(), 1
		if r.did[format] = done; r.dry {
			continue
		}
		r.s.upkeep.add(format, done)
		if done.Merged+done.Expired+done.Removed > 0 || done.Dropped > 0 {
			did = true
			r.s.lg.Debug("maintained", "format", format, "merged", done.Merged, "made", done.Made, "expired", done.Expired, "removed", done.Removed, "dropped", done.Dropped)
		}
	}
	return did, errors.Join(all...)
}

// table maintains one table.
func (r *round) table(ctx context.Context, format string, t tables.Maintainer, done *Kept) error {
	topic := r.s.topic
	if topic.Retention > 0 && !r.noMerge {
		if err := r.drop(ctx, format, t, done); err != nil {
			return fmt.Errorf("drop rows past their time: %w", err)
		}
	}
	if !r.noMerge && (r.whole || topic.compacts(format)) {
		if err := r.merge(ctx, t, done); err != nil {
			return fmt.Errorf("merge small files: %w", err)
		}
	}
	if err := r.forget(ctx, t, done); err != nil {
		return fmt.Errorf("forget old states: %w", err)
	}
	if r.sweep {
		if err := r.clean(ctx, t, done); err != nil {
			return fmt.Errorf("remove files that nothing names: %w", err)
		}
	}
	return nil
}

// compacts reports whether small files of a format are merged by themselves.
func (t Topic) compacts(format string) bool {
	switch t.Compact {
	case CompactAll:
		return true
	case CompactAuto:
		return format != parquet.Name
	}
	return false
}

// merge merges small files, as long as there are any that are worth it.
func (r *round) merge(ctx context.Context, t tables.Maintainer, done *Kept) error {
	for range maxMerges {
		live, err := t.Live(ctx)
		if err != nil {
			return err
		}
		r.live = live
		groups := maintenance.Plan(live, r.s.topic.CompactBytes, r.whole)
		if r.dry {
			for _, g := range groups[:min(len(groups), maxMerges)] {
				done.Merged, done.Made = done.Merged+len(g), done.Made+1
				for _, f := range g {
					done.Bytes += f.Size
				}
			}
			return nil
		}
		if len(groups) == 0 {
			return nil
		}
		begun := time.Now()
		m, err := maintenance.Merge(ctx, r.s.store, t, groups[0])
		if errors.Is(err, tables.ErrConflict) {
			continue // somebody else has rewritten them: look again
		}
		if err != nil {
			return err
		}
		r.live = nil
		done.Merged, done.Made, done.Bytes = done.Merged+m.Files, done.Made+m.Made, done.Bytes+m.Bytes
		if r.whole && len(groups) == 1 {
			return nil // what is left cannot become one
		}
		if r.rest && !pauseFor(ctx, min(maxRest, time.Since(begun))) {
			return ctx.Err()
		}
	}
	return nil
}

// pauseFor sleeps; false means that ctx has ended.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// forget expires old states: when it is time, or when there are a tenth too
// many.
func (r *round) forget(ctx context.Context, t tables.Maintainer, done *Kept) error {
	topic := r.s.topic
	due := r.expire
	if !due {
		st, err := t.Status(ctx)
		if err != nil {
			return err
		}
		due = st.Snapshots > topic.HistoryMax+topic.HistoryMax/10
	}
	if !due {
		return nil
	}
	e, err := t.Expire(ctx, tables.Keep{Age: topic.History, Last: 1, Max: topic.HistoryMax, DryRun: r.dry})
	done.Expired, done.Removed = done.Expired+e.Versions, done.Removed+e.Files
	return err
}

// clean removes files that nothing names. What is pending is read before the
// table is: a file that is neither was not about to be committed in between,
// unless it is younger than the age guard. The guard counts from that reading,
// since the tables before this one may have taken long.
func (r *round) clean(ctx context.Context, t tables.Maintainer, done *Kept) error {
	if r.pending == nil {
		r.pendingAt = time.Now()
		pending, err := r.s.pendingFiles(ctx)
		if err != nil {
			return err
		}
		r.pending = pending
	}
	swept, err := t.Sweep(ctx, tables.Sweep{
		Before:  r.pendingAt.Add(-r.s.topic.OrphanAge),
		Pending: func(key string) bool { return r.pending[key] }, DryRun: r.dry,
	})
	done.Removed += swept.Files
	return err
}

// pendingFiles are the keys of all files that a sink of this topic may commit,
// or has yet to judge.
func (s *sink) pendingFiles(ctx context.Context) (map[string]bool, error) {
	out := s.drafted.get()
	for it, err := range s.items.Scan(ctx, s.prefix()) {
		if err != nil {
			return nil, fmt.Errorf("read pending entries: %w", err)
		}
		switch {
		case strings.HasPrefix(it.Key, s.pendingKey()):
			e := &entry{}
			if err := json.Unmarshal(it.Value, e); err != nil {
				return nil, fmt.Errorf("stored item %s: %w", it.Key, err)
			}
			for _, f := range e.files() {
				out[f.Path] = true
			}
		case strings.HasPrefix(it.Key, s.prefix()+"rebuild/"):
			p := rebuildPiece{} // of a head nothing is read
			if err := json.Unmarshal(it.Value, &p); err != nil {
				return nil, fmt.Errorf("stored item %s: %w", it.Key, err)
			}
			for _, path := range p.paths() {
				out[path] = true
			}
		case strings.HasPrefix(it.Key, s.redriveKeyOf("")):
			step := &redriving{}
			if err := json.Unmarshal(it.Value, step); err != nil {
				return nil, fmt.Errorf("stored item %s: %w", it.Key, err)
			}
			for _, f := range step.Files {
				out[f.Path] = true
			}
			if step.Rest != nil {
				out[step.Rest.Path] = true
			}
		case strings.HasPrefix(it.Key, s.leftKey()):
			l := &leftover{}
			if err := json.Unmarshal(it.Value, l); err != nil {
				return nil, fmt.Errorf("stored item %s: %w", it.Key, err)
			}
			out[l.Path] = true
		}
	}
	return out, nil
}

// dropped is the item that says which rows retention may have taken from a
// format's tables: those of records made before BeforeMs (Unix ms). It is
// written before any row goes, and tells verify that they are no gap.
type dropped struct {
	BeforeMs int64 `json:"before_ms"`
}

func (s *sink) droppedKey(format string) string { return s.prefix() + "dropped/" + format }

// readDropped returns what the item says; the version is 0 if there is none.
func (s *sink) readDropped(ctx context.Context, format string) (d dropped, version int64, err error) {
	it, err := s.items.Get(ctx, s.droppedKey(format))
	if err != nil || it.Version == 0 {
		return d, 0, err
	}
	if err := json.Unmarshal(it.Value, &d); err != nil {
		return d, 0, fmt.Errorf("stored item %s: %w", it.Key, err)
	}
	return d, it.Version, nil
}

// drop takes out the files of which every row is past its time.
func (r *round) drop(ctx context.Context, format string, t tables.Maintainer, done *Kept) error {
	s := r.s
	before := time.Now().Add(-s.topic.Retention).UnixMilli()
	live, err := t.Live(ctx)
	if err != nil {
		return err
	}
	var rep tables.Replacement
	var rows int64
	for _, f := range live {
		newest, ok, err := r.newest(ctx, f.Key)
		if err != nil {
			return err
		}
		if ok && newest < before {
			rep.Remove, rows = append(rep.Remove, f.Key), rows+f.Rows
		}
	}
	if r.dry {
		done.Dropped += rows
		return nil
	}
	if len(rep.Remove) == 0 {
		return nil
	}
	have, version, err := s.readDropped(ctx, format)
	if err != nil {
		return err
	}
	if before > have.BeforeMs {
		value, err := json.Marshal(dropped{before})
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		if err := s.items.Put(ctx, tables.Item{Key: s.droppedKey(format), Value: value, Version: version}); err != nil {
			return fmt.Errorf("say which rows go: %w", err)
		}
	}
	rep.ID, rep.Drop = uuid.NewString(), true
	rep.Summary = map[string]string{"tarn.maintenance": "retention"}
	if err := t.Replace(ctx, rep); err != nil {
		return err
	}
	done.Dropped += rows
	for _, key := range rep.Remove {
		delete(s.upkeep.newest, key)
	}
	return nil
}

// maxNewest bounds what is remembered of files.
const maxNewest = 100_000

// newest is when the newest row of a file was made. Files never change, so it is
// read once.
func (r *round) newest(ctx context.Context, key string) (ms int64, ok bool, err error) {
	known := r.s.upkeep.newest
	if ms, ok := known[key]; ok {
		return ms, true, nil
	}
	f, err := r.s.store.Open(ctx, key)
	if err != nil {
		return 0, false, fmt.Errorf("open %s: %w", key, err)
	}
	defer f.Close()
	if ms, ok, err = parquet.NewestRow(ctx, f); err != nil || !ok {
		return 0, false, err
	}
	if len(known) >= maxNewest {
		clear(known)
	}
	known[key] = ms
	return ms, true, nil
}
