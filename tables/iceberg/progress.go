package iceberg

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/metadata"
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
func progressOf(meta *metadata.Table) (tables.Progress, error) {
	p, err := decodeProgress(meta.Properties)
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
func held(meta *metadata.Table) (p tables.Progress, back bool, err error) {
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
func rolledBack(meta *metadata.Table) (rows tables.Progress, back bool, err error) {
	last := meta.Properties[snapshotCommitKey]
	if last == "" {
		return rows, false, nil
	}
	for at := range ancestors(meta, meta.Current()) {
		switch id := commitOf(at); {
		case id == last:
			return rows, false, nil
		case id != "":
			if err := json.Unmarshal([]byte(at.Summary[progressKey]), &rows); err != nil {
				return rows, true, fmt.Errorf("summary of snapshot %d: %w: %w", at.ID, tables.ErrBroken, err)
			}
			return rows, true, nil
		case at.ParentID == nil:
			return rows, true, nil
		}
	}
	for _, snap := range meta.Snapshots {
		if commitOf(snap) == last {
			return rows, true, nil
		}
	}
	return rows, meta.Current() == nil, nil
}

// progressIs is a requirement that only a catalog in this process can ask: at the moment of the
// commit the table must still hold this progress. assert-ref-snapshot-id alone
// would let two commits pass of which one moves offsets without adding rows.
func progressIs(want tables.Progress) metadata.Requirement {
	return metadata.Requirement{Type: "assert-tarn-progress", Holds: func(t *metadata.Table) error {
		if t == nil {
			return tables.ErrConflict
		}
		have, _, err := held(t)
		if err == nil && !have.Equal(want) {
			err = fmt.Errorf("progress is %v, not %v: %w", have, want, tables.ErrConflict)
		}
		return err
	}}
}

// newest is the commit of the newest snapshot of ours in the main line, empty
// if there is none.
func newest(meta *metadata.Table) string {
	for s := range ancestors(meta, meta.Current()) {
		if id := commitOf(s); id != "" {
			return id
		}
	}
	return ""
}
