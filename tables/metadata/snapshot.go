package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Snapshot is one snapshot of a table. It never changes once it is in a table.
type Snapshot struct {
	ID             int64
	ParentID       *int64
	SequenceNumber int64 // 0 in version 1
	TimestampMs    int64
	ManifestList   string // URL; version 1 may list Manifests instead
	Manifests      []string
	Operation      string // empty if there is no summary
	// Summary is the rest of the summary; nil if there is none.
	Summary  map[string]string
	SchemaID *int
	// FirstRowID and AddedRows are those of version 3.
	FirstRowID, AddedRows *int64

	raw json.RawMessage // as it was read; nil if made here
}

type snapshotJSON struct {
	ID             *int64            `json:"snapshot-id"`
	ParentID       *int64            `json:"parent-snapshot-id,omitempty"`
	SequenceNumber int64             `json:"sequence-number"`
	TimestampMs    int64             `json:"timestamp-ms"`
	ManifestList   string            `json:"manifest-list,omitempty"`
	Manifests      []string          `json:"manifests,omitempty"`
	Summary        map[string]string `json:"summary,omitempty"`
	SchemaID       *int              `json:"schema-id,omitempty"`
	FirstRowID     *int64            `json:"first-row-id,omitempty"`
	AddedRows      *int64            `json:"added-rows,omitempty"`
}

const operationKey = "operation"

// MarshalJSON writes what was read, or what the fields say.
func (s *Snapshot) MarshalJSON() ([]byte, error) {
	if s.raw != nil {
		return s.raw, nil
	}
	w := snapshotJSON{
		&s.ID, s.ParentID, s.SequenceNumber, s.TimestampMs, s.ManifestList, s.Manifests,
		nil, s.SchemaID, s.FirstRowID, s.AddedRows,
	}
	if s.Operation != "" {
		w.Summary = map[string]string{operationKey: s.Operation}
		for k, v := range s.Summary {
			w.Summary[k] = v
		}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads a snapshot; every one has an id.
func (s *Snapshot) UnmarshalJSON(data []byte) error {
	var w snapshotJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == nil {
		return errors.New("snapshot without snapshot-id")
	}
	*s = Snapshot{
		*w.ID, w.ParentID, w.SequenceNumber, w.TimestampMs, w.ManifestList, w.Manifests,
		w.Summary[operationKey], w.Summary, w.SchemaID, w.FirstRowID, w.AddedRows, clone(data),
	}
	delete(s.Summary, operationKey)
	return nil
}

// Total reads a figure of the summary; 0 if it is missing, as it may be, or if
// there is no snapshot.
func (s *Snapshot) Total(key string) int64 {
	if s == nil {
		return 0
	}
	n, err := strconv.ParseInt(s.Summary[key], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Ref is a branch or a tag. What is nil has the table's default.
type Ref struct {
	SnapshotID         int64
	Kind               string // Branch or Tag
	MinSnapshotsToKeep *int64 // of branches
	MaxSnapshotAgeMs   *int64 // of branches
	MaxRefAgeMs        *int64

	raw json.RawMessage
}

type refJSON struct {
	SnapshotID         *int64 `json:"snapshot-id"`
	Kind               string `json:"type"`
	MinSnapshotsToKeep *int64 `json:"min-snapshots-to-keep,omitempty"`
	MaxSnapshotAgeMs   *int64 `json:"max-snapshot-age-ms,omitempty"`
	MaxRefAgeMs        *int64 `json:"max-ref-age-ms,omitempty"`
}

// MarshalJSON writes what was read, or what the fields say.
func (r Ref) MarshalJSON() ([]byte, error) {
	if r.raw != nil {
		return r.raw, nil
	}
	return json.Marshal(refJSON{&r.SnapshotID, r.Kind, r.MinSnapshotsToKeep, r.MaxSnapshotAgeMs, r.MaxRefAgeMs})
}

// UnmarshalJSON reads a reference and checks it.
func (r *Ref) UnmarshalJSON(data []byte) error {
	var w refJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.SnapshotID == nil {
		return errors.New("reference without snapshot-id")
	}
	*r = Ref{*w.SnapshotID, w.Kind, w.MinSnapshotsToKeep, w.MaxSnapshotAgeMs, w.MaxRefAgeMs, clone(data)}
	if r.Kind != Branch && r.Kind != Tag {
		return fmt.Errorf("reference of type %q: it is a branch or a tag", r.Kind)
	}
	if r.Kind == Tag && (positive(r.MinSnapshotsToKeep) || positive(r.MaxSnapshotAgeMs)) {
		return errors.New("tags do not support min-snapshots-to-keep and max-snapshot-age-ms")
	}
	return nil
}

// same reports whether two references say the same.
func (r Ref) same(o Ref) bool {
	return r.SnapshotID == o.SnapshotID && r.Kind == o.Kind && equal(r.MinSnapshotsToKeep, o.MinSnapshotsToKeep) &&
		equal(r.MaxSnapshotAgeMs, o.MaxSnapshotAgeMs) && equal(r.MaxRefAgeMs, o.MaxRefAgeMs)
}

// settled is the reference without limits that no limit is: some clients send
// zero or -1 for those that they do not set.
func (r Ref) settled() Ref {
	for _, limit := range []**int64{&r.MinSnapshotsToKeep, &r.MaxSnapshotAgeMs, &r.MaxRefAgeMs} {
		if *limit != nil && !positive(*limit) {
			*limit, r.raw = nil, nil
		}
	}
	return r
}

func positive(n *int64) bool { return n != nil && *n > 0 }

func equal(a, b *int64) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// clone copies bytes that the caller may use again.
func clone(data []byte) json.RawMessage { return append(json.RawMessage(nil), data...) }

// At is the reference at another snapshot, all else kept.
func (r Ref) At(snapshot int64) Ref {
	r.SnapshotID = snapshot
	if r.raw == nil {
		return r
	}
	r.raw = withField(r.raw, "snapshot-id", snapshot)
	return r
}
