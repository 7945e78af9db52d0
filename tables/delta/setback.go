package delta

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// operationRestore is what writers call the commit that sets a table back: an
// ordinary version, whose adds and removes bring the files of an earlier one.
const operationRestore = "RESTORE"

// setBack says that others have set the table back past rows of ours. The
// progress does not follow: txn actions are not restored.
type setBack struct {
	at   int64 // the version that did it
	to   int64 // the version whose files are live again, -1 if the log does not reach back to it
	rows tables.Progress
}

// err tells a person what was done and how it is undone.
func (b *setBack) err() error {
	to := "a version that the log no longer has"
	if b.to >= 0 {
		to = fmt.Sprintf("version %d", b.to)
	}
	return fmt.Errorf("RESTORE in version %d set the table back to %s; a RESTORE to version %d brings it forward: %w",
		b.at, to, b.at-1, &tables.RolledBack{Rows: b.rows})
}

// findSetBack walks from the newest version down to the last one of ours: nobody
// commits for us while a table is set back. A RESTORE on the way leads to the
// version that it brought again, from where the walk goes on; rows of ours between
// the two are lost. So one RESTORE may undo another. nil if nothing is lost.
func (l log) findSetBack(ctx context.Context, s *state) (*setBack, error) {
	w := &backwards{log: l, version: s.version, live: make(map[string]bool, len(s.byPath))}
	for path := range s.byPath {
		w.live[path] = true
	}
	for steps := 0; steps < maxMissed; steps++ {
		v, ok, err := w.look(ctx)
		if err != nil {
			return nil, err
		}
		if !ok || v.ours {
			return nil, nil
		}
		if v.operation != operationRestore {
			w.undo(v)
			continue
		}
		at := w.version
		lost, found, err := w.restored(ctx, v)
		if err != nil {
			return nil, err
		}
		if lost || !found {
			return l.describe(ctx, at, w.version, found)
		}
	}
	return nil, nil
}

// describe works out how far the rows reach at a version.
func (l log) describe(ctx context.Context, at, to int64, found bool) (*setBack, error) {
	b := &setBack{at: at, to: -1}
	if !found {
		return b, nil
	}
	b.to = to
	old, err := l.loadUpTo(ctx, to)
	if errors.Is(err, blob.ErrNotFound) {
		return b, nil // what was live then is known, but not all that the log said
	}
	if err != nil {
		return nil, fmt.Errorf("read the table as of version %d: %w", to, err)
	}
	b.rows = old.progress.Clone()
	return b, nil
}

// backwards undoes versions, the newest first.
type backwards struct {
	log     log
	version int64
	live    map[string]bool // paths as of version
}

// past is what a version of the log did.
type past struct {
	ours, dataChange bool
	operation        string
	adds, removes    []string
}

// look reads the version at hand; not ok if the log begins behind it.
func (w *backwards) look(ctx context.Context) (v past, ok bool, err error) {
	if w.version < 0 {
		return v, false, nil
	}
	actions, err := w.log.get(ctx, w.version)
	if errors.Is(err, blob.ErrNotFound) {
		return v, false, nil
	}
	if err != nil {
		return v, false, err
	}
	for _, a := range actions {
		switch {
		case a.CommitInfo != nil:
			v.ours, v.operation = a.CommitInfo.EngineInfo == engineInfo, a.CommitInfo.Operation
		case a.Add != nil:
			v.adds = append(v.adds, a.Add.Path)
			v.dataChange = v.dataChange || a.Add.DataChange
		case a.Remove != nil:
			v.removes = append(v.removes, a.Remove.Path)
			v.dataChange = v.dataChange || a.Remove.DataChange
		}
	}
	return v, true, nil
}

// undo goes to the version before v.
func (w *backwards) undo(v past) {
	for _, path := range v.adds {
		delete(w.live, path)
	}
	for _, path := range v.removes {
		w.live[path] = true
	}
	w.version--
}

// restored goes from a RESTORE, v, to the newest version below it that has the
// same live files, and says whether a version of ours between them changed rows.
// What is not found within maxMissed versions, or in the log, is not found.
func (w *backwards) restored(ctx context.Context, v past) (lost, found bool, err error) {
	want := make(map[string]bool, len(w.live))
	for path := range w.live {
		want[path] = true
	}
	differ := 0 // paths that are live in one of the two only
	step := func(v past) {
		touched := make(map[string]bool, len(v.adds)+len(v.removes))
		for _, path := range append(v.adds, v.removes...) {
			if !touched[path] && w.live[path] != want[path] {
				differ--
			}
			touched[path] = true
		}
		w.undo(v)
		for path := range touched {
			if w.live[path] != want[path] {
				differ++
			}
		}
	}
	step(v)
	for steps := 0; differ > 0; steps++ {
		v, ok, err := w.look(ctx)
		if err != nil || !ok || steps == maxMissed {
			return lost, false, err
		}
		lost = lost || v.ours && v.dataChange
		step(v)
	}
	return lost, true, nil
}
