package iceberg

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables"
)

// Table properties, and keys of snapshot summaries.
const (
	prefix            = "tarn."
	topicKey          = prefix + "topic-id"
	incarnationKey    = prefix + "incarnation"
	offsetPrefix      = prefix + "offset."
	extraPrefix       = prefix + "extra."
	commitKey         = prefix + "commit-id"
	snapshotCommitKey = prefix + "snapshot-commit"
	schemaKey         = prefix + "schema"
	schemaVersionKey  = prefix + "schema-version"
	progressKey       = prefix + "progress"
)

// progressOf is what the table holds. Errors: *tables.RolledBack, ErrBroken.
func progressOf(meta table.Metadata) (tables.Progress, error) {
	p, err := decodeProgress(meta.Properties())
	if err != nil {
		return p, err
	}
	if rows, back, err := rolledBack(meta); err != nil {
		return p, err
	} else if back {
		return p, &tables.RolledBack{Rows: rows}
	}
	return p, nil
}

// held is what a commit must expect: the progress, or what the rows say if the
// table was rolled back.
func held(meta table.Metadata) (p tables.Progress, back bool, err error) {
	p, err = progressOf(meta)
	var rb *tables.RolledBack
	if errors.As(err, &rb) {
		return rb.Rows, true, nil
	}
	return p, false, err
}

func decodeProgress(props iceberg.Properties) (tables.Progress, error) {
	p := tables.Progress{
		TopicID: props[topicKey], Incarnation: props[incarnationKey],
		Offsets: map[int32]int64{}, Extra: map[string]string{},
	}
	for k, v := range props {
		if rest, ok := strings.CutPrefix(k, extraPrefix); ok {
			p.Extra[rest] = v
		}
		rest, ok := strings.CutPrefix(k, offsetPrefix)
		if !ok {
			continue
		}
		partition, perr := strconv.ParseInt(rest, 10, 32)
		offset, oerr := strconv.ParseInt(v, 10, 64)
		if perr != nil || oerr != nil {
			return p, fmt.Errorf("property %s=%q: %w", k, v, tables.ErrBroken)
		}
		p.Offsets[int32(partition)] = offset
	}
	return p, nil
}

func encodeProgress(p tables.Progress) iceberg.Properties {
	props := iceberg.Properties{}
	if p.TopicID != "" {
		props[topicKey] = p.TopicID
	}
	if p.Incarnation != "" {
		props[incarnationKey] = p.Incarnation
	}
	for partition, offset := range p.Offsets {
		props[offsetPrefix+strconv.Itoa(int(partition))] = strconv.FormatInt(offset, 10)
	}
	for k, v := range p.Extra {
		props[extraPrefix+k] = v
	}
	return props
}

func isProgress(key string) bool {
	return key == topicKey || key == incarnationKey ||
		strings.HasPrefix(key, offsetPrefix) || strings.HasPrefix(key, extraPrefix)
}

// change is what has to be set and removed to bring properties to p.
func change(have iceberg.Properties, p tables.Progress) (set iceberg.Properties, remove []string) {
	set = encodeProgress(p)
	for k := range have {
		if _, stays := set[k]; isProgress(k) && !stays {
			remove = append(remove, k)
		}
	}
	maps.DeleteFunc(set, func(k, v string) bool { now, ok := have[k]; return ok && now == v })
	return set, remove
}

// rolledBack looks for the snapshot of the last commit that made one among the
// ancestors of the current snapshot. Snapshots of other writers lie in between
// and do not count. If the newest of ours is another commit's, or none is left
// although ours still exists, the table was set back; rows is how far it then
// reaches. Where ours has expired, nothing can be said, and nothing is.
func rolledBack(meta table.Metadata) (rows tables.Progress, back bool, err error) {
	last := meta.Properties()[snapshotCommitKey]
	if last == "" {
		return rows, false, nil
	}
	for at := range ancestors(meta, meta.CurrentSnapshot()) {
		switch id := summary(at, commitKey); {
		case id == last:
			return rows, false, nil
		case id != "":
			if err := json.Unmarshal([]byte(summary(at, progressKey)), &rows); err != nil {
				return rows, true, fmt.Errorf("summary of snapshot %d: %w: %w", at.SnapshotID, tables.ErrBroken, err)
			}
			return rows, true, nil
		case at.ParentSnapshotID == nil:
			return rows, true, nil
		}
	}
	for _, snap := range meta.Snapshots() {
		if summary(&snap, commitKey) == last {
			return rows, true, nil
		}
	}
	return rows, meta.CurrentSnapshot() == nil, nil
}

func summary(s *table.Snapshot, key string) string {
	if s.Summary == nil {
		return ""
	}
	return s.Summary.Properties[key]
}

// progressIs is a requirement that only our catalog knows: at the moment of the
// commit the table must still hold this progress. AssertRefSnapshotID alone
// would let two commits pass of which one moves offsets without adding rows.
type progressIs struct {
	want tables.Progress
}

// GetType names the requirement.
func (r progressIs) GetType() string { return "assert-tarn-progress" }

// Validate fails if the table holds another progress.
func (r progressIs) Validate(meta table.Metadata) error {
	if meta == nil {
		return tables.ErrConflict
	}
	have, _, err := held(meta)
	if err == nil && !have.Equal(r.want) {
		err = fmt.Errorf("progress is %v, not %v: %w", have, r.want, tables.ErrConflict)
	}
	return err
}

// newest is the commit of the newest snapshot of ours in the main line, empty
// if there is none.
func newest(meta table.Metadata) string {
	for s := range ancestors(meta, meta.CurrentSnapshot()) {
		if id := summary(s, commitKey); id != "" {
			return id
		}
	}
	return ""
}
