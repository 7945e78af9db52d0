package metadata

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// addSnapshot adds a snapshot, whose sequence number must lie above all given
// so far. It becomes current only when a reference is set to it.
func (c *change) addSnapshot(u Update) error {
	s, t := u.Snapshot, c.next
	switch {
	case s == nil:
		return errors.New("no snapshot")
	case len(t.Schemas) == 0:
		return errors.New("attempting to add a snapshot before a schema is added")
	case len(t.Specs) == 0:
		return errors.New("attempting to add a snapshot before a partition spec is added")
	case t.Snapshot(s.ID) != nil:
		return fmt.Errorf("snapshot already exists for id: %d", s.ID)
	case t.Version > 1 && s.ParentID != nil && s.SequenceNumber <= t.LastSequence:
		return fmt.Errorf("cannot add snapshot with sequence number %d older than last sequence number %d",
			s.SequenceNumber, t.LastSequence)
	case s.TimestampMs-t.LastUpdatedMs < -maxSkewMs:
		return fmt.Errorf("invalid snapshot timestamp %d: before last updated timestamp %d", s.TimestampMs, t.LastUpdatedMs)
	}
	if n := len(t.SnapshotLog); n > 0 && s.TimestampMs-t.SnapshotLog[n-1].TimestampMs < -maxSkewMs {
		return fmt.Errorf("invalid snapshot timestamp %d: before last snapshot timestamp %d",
			s.TimestampMs, t.SnapshotLog[n-1].TimestampMs)
	}
	if t.Version >= 3 {
		if err := c.lineage(s); err != nil {
			return err
		}
	}
	t.LastUpdatedMs, c.stamped = s.TimestampMs, true
	t.LastSequence = max(t.LastSequence, s.SequenceNumber)
	t.Snapshots = append(t.Snapshots, s)
	c.added[s.ID], c.changed = true, true
	return nil
}

// lineage gives the rows of a snapshot their ids: each row of a version 3 table
// has one that no other had.
func (c *change) lineage(s *Snapshot) error {
	switch {
	case s.FirstRowID == nil:
		return errors.New("cannot add a snapshot: first-row-id is null")
	case *s.FirstRowID < c.next.NextRowID:
		return fmt.Errorf("cannot add a snapshot, first-row-id is behind table next-row-id: %d < %d", *s.FirstRowID, c.next.NextRowID)
	case s.AddedRows == nil || *s.AddedRows < 0:
		return errors.New("cannot add a snapshot: added-rows is null or negative")
	case *s.FirstRowID+*s.AddedRows < *s.FirstRowID:
		return errors.New("cannot add a snapshot: row ids exceed 64 bits")
	}
	c.next.NextRowID = *s.FirstRowID + *s.AddedRows
	return nil
}

func (c *change) setRef(u Update) error {
	if u.Ref == nil || u.RefName == "" {
		return errors.New("no reference")
	}
	t, ref := c.next, u.Ref.settled()
	if have, ok := t.Refs[u.RefName]; ok && have.same(ref) {
		return nil
	}
	s := t.Snapshot(ref.SnapshotID)
	if s == nil {
		return fmt.Errorf("cannot set %s to unknown snapshot: %d", u.RefName, ref.SnapshotID)
	}
	if u.RefName != MainBranch {
		t.Refs[u.RefName], c.changed = ref, true
		return nil
	}
	if ref.Kind != Branch {
		return fmt.Errorf("cannot set %s to a %s", MainBranch, ref.Kind)
	}
	moved := t.CurrentID == nil || *t.CurrentID != s.ID
	t.Refs[MainBranch], t.CurrentID, c.changed = ref, &s.ID, true
	if !moved {
		return nil // only its limits
	}
	if c.added[s.ID] {
		c.passed[s.ID] = true
		t.LastUpdatedMs = s.TimestampMs
	} else {
		t.LastUpdatedMs = max(t.LastUpdatedMs, time.Now().UnixMilli())
	}
	c.stamped = true
	t.SnapshotLog = append(t.SnapshotLog, LogEntry{s.ID, t.LastUpdatedMs})
	return nil
}

func (c *change) removeRef(u Update) error {
	if _, ok := c.next.Refs[u.RefName]; !ok {
		return nil
	}
	if u.RefName == MainBranch {
		c.next.CurrentID, c.next.SnapshotLog = nil, nil
	}
	delete(c.next.Refs, u.RefName)
	c.changed = true
	return nil
}

// removeSnapshots removes snapshots with the references and statistics of
// theirs; the current one stays.
func (c *change) removeSnapshots(u Update) error {
	t := c.next
	gone := make(map[int64]bool, len(u.SnapshotIDs))
	for _, id := range u.SnapshotIDs {
		gone[id] = true
	}
	if t.CurrentID != nil && gone[*t.CurrentID] {
		return errors.New("current snapshot cannot be removed")
	}
	before := len(t.Snapshots)
	t.Snapshots = slices.DeleteFunc(t.Snapshots, func(s *Snapshot) bool { return gone[s.ID] })
	if len(t.Snapshots) == before {
		return nil
	}
	c.removed, c.changed = true, true
	for name, ref := range t.Refs {
		if gone[ref.SnapshotID] {
			delete(t.Refs, name)
		}
	}
	for _, list := range []*[]Statistics{&t.Statistics, &t.PartitionStatistics} {
		*list = slices.DeleteFunc(*list, func(s Statistics) bool { return gone[s.SnapshotID] })
	}
	return nil
}

// trimLog takes out of the snapshot log what was current only within this
// change, and what lies before a snapshot that is gone: a log with gaps would
// tell a time traveller something wrong.
func (c *change) trimLog() error {
	t := c.next
	if t.CurrentID != nil {
		delete(c.passed, *t.CurrentID)
	}
	if len(c.passed) == 0 && !c.removed {
		return nil
	}
	there := make(map[int64]bool, len(t.Snapshots))
	for _, s := range t.Snapshots {
		there[s.ID] = true
	}
	var log []LogEntry
	for _, e := range t.SnapshotLog {
		switch {
		case !there[e.SnapshotID] && c.removed:
			log = nil
		case there[e.SnapshotID] && !c.passed[e.SnapshotID]:
			log = append(log, e)
		}
	}
	t.SnapshotLog = log
	if n := len(log); n > 0 && t.CurrentID != nil && log[n-1].SnapshotID != *t.CurrentID {
		return errors.New("cannot set invalid snapshot log: latest entry is not the current snapshot")
	}
	return nil
}
