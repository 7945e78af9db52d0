package delta

import (
	"context"
	"errors"
	"strconv"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// Applications of txn actions that count versions in which others have changed
// rows: commit infos do not outlive the cleanup of the log, txns do. The version
// of one is a count, that of the other the last such version.
const (
	appForeign     = "tarn-foreign:count"
	appForeignLast = "tarn-foreign:last"
)

// maxMissed bounds the versions that are looked at one by one where a checkpoint
// of others stands between the state that was known and the newest.
const maxMissed = 1000

// outsiders is what is known of others' changes of rows.
type outsiders struct {
	commits, last, timeMs int64
	operation, engine     string // of the last one; "" if only its number is left
}

// note looks at a version's actions. Versions come in order; one that was seen
// before says at most who made it.
func (f *outsiders) note(version int64, actions []action) {
	var info commitInfo
	changes := false
	for _, a := range actions {
		switch {
		case a.CommitInfo != nil:
			info = *a.CommitInfo
		case a.Add != nil:
			changes = changes || a.Add.DataChange
		case a.Remove != nil:
			changes = changes || a.Remove.DataChange
		}
	}
	if !changes || info.EngineInfo == engineInfo || version < f.last {
		return
	}
	if version > f.last || f.commits == 0 {
		f.commits++
	}
	f.last, f.timeMs, f.operation, f.engine = version, info.Timestamp, info.Operation, info.EngineInfo
}

// recall takes over what the log says of versions that are cleaned up.
func (f *outsiders) recall(txns map[string]txn) {
	count, last := txns[appForeign], txns[appForeignLast]
	if count.Version > f.commits {
		*f = outsiders{commits: count.Version, last: last.Version, timeMs: last.LastUpdated}
	}
}

// txns are the actions that make what is known outlive the log's cleanup; none if
// it does already.
func (f *outsiders) txns(have map[string]txn) []action {
	if f.commits == have[appForeign].Version {
		return nil
	}
	return []action{
		{Txn: &txn{appForeign, f.commits, f.timeMs}},
		{Txn: &txn{appForeignLast, f.last, f.timeMs}},
	}
}

// status is what a person is told; nil if nobody else has changed rows.
func (f *outsiders) status() *tables.Foreign {
	if f.commits == 0 {
		return nil
	}
	return &tables.Foreign{
		Commits: f.commits, Version: strconv.FormatInt(f.last, 10), TimeMs: f.timeMs,
		Operation: f.operation, Engine: f.engine,
	}
}

// missed goes on from what was known at a version to the one that is newest, where
// a load has begun at a checkpoint between the two.
func (l log) missed(ctx context.Context, known *state, next *state) error {
	f := known.foreign
	for v := max(known.version+1, next.version-maxMissed); v <= next.version; v++ {
		actions, err := l.get(ctx, v)
		if errors.Is(err, blob.ErrNotFound) {
			continue // cleaned up
		}
		if err != nil {
			return err
		}
		f.note(v, actions)
	}
	if f.commits >= next.foreign.commits {
		next.foreign = f
	}
	return nil
}
