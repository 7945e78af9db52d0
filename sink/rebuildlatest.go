package sink

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/upsert"
)

// Limits of what a rebuild of a table of latest values looks at.
const (
	// settleKeys is about how many keys are told apart at a time, some 100 MiB. A log
	// with more is looked at several times, each time at a share of the keys.
	settleKeys = 1 << 20
	// maxDoubts bounds the rows that are looked for in the log one by one, 16 bytes
	// each.
	maxDoubts = 1 << 20
)

// settling works out which rows stay of the pieces of a rebuilt table of latest
// values: of each key the last one, if no record behind it takes the row away.
type settling struct {
	s     *sink
	h     upsert.Hasher
	live  []tables.LiveFile // of the table as it is; nil: nobody asks what would be lost
	drop  map[string]*dropRows
	doubt []tables.RowID // rows of the table that nothing written anew stands for
	// fresh, where the log has holes and the table is keyed by columns, are rows of
	// keys that the table does not have.
	fresh  []tables.RowID
	strict bool // fresh is asked for
}

// dropRows are the positions of a file's rows that go.
type dropRows struct {
	set offsetSet
	n   int64
}

// lastRow is the last record of a key, of those written anew.
type lastRow struct {
	tables.RowID
	gone bool // it has no value
	live bool // the table has a row of the key
}

// settle leaves one row a key in the pieces of a rebuild, which hold a key once each:
// what lies before another record of its key is written anew without it, each file
// once. That is stored piece by piece, so it may end anywhere and begin again. Nobody
// commits meanwhile. Unless fromLogStart is set, it refuses with ErrLogShort before
// it changes anything where the log lacks what the table was made of.
func (s *sink) settle(ctx context.Context, m *member, t tables.Replacer, all []rebuildPiece, fromLogStart bool) error {
	w := &settling{s: s, h: upsert.NewHasher(), drop: map[string]*dropRows{}}
	records := int64(0)
	for _, p := range all {
		for _, f := range p.keyed() {
			records += f.Rows
		}
		w.strict = w.strict || p.Holes
	}
	// A log that is compacted keeps the last record of each record's key, and so all
	// that makes a table that is keyed by it.
	w.strict = w.strict && !fromLogStart && !s.topic.byRecordKey()
	if !fromLogStart {
		var err error
		if w.live, err = t.Live(ctx); err != nil {
			return err
		}
	}
	passes := uint64(records/settleKeys + 1)
	for pass := range passes {
		if err := w.look(ctx, all, pass, passes); err != nil {
			return err
		}
	}
	if !fromLogStart {
		if err := w.lossless(ctx, m); err != nil {
			return err
		}
	}
	for i := range all {
		if err := s.settlePiece(ctx, m, &all[i], w.drop); err != nil {
			return err
		}
	}
	return nil
}

// keyed are the files of a piece that hold keys.
func (p rebuildPiece) keyed() []tables.DataFile {
	if p.Gone == nil {
		return p.Files
	}
	return append(slices.Clone(p.Files), *p.Gone)
}

// look works out one share of the keys, the newest piece first.
func (w *settling) look(ctx context.Context, all []rebuildPiece, pass, passes uint64) error {
	mine := func(k upsert.Hash) bool { return binary.BigEndian.Uint64(k[:])%passes == pass }
	last := map[upsert.Hash]lastRow{}
	for _, p := range slices.Backward(all) {
		for _, f := range p.keyed() {
			gone, at := p.Gone != nil && f.Path == p.Gone.Path, int64(0)
			err := w.s.eachKey(ctx, w.h, f.Path, func(hashes []upsert.Hash, ids []tables.RowID) error {
				for i, k := range hashes {
					if !mine(k) {
						continue
					}
					if _, later := last[k]; !later {
						last[k] = lastRow{RowID: ids[i], gone: gone}
					} else if !gone && !w.dropAt(f.Path, at+int64(i)) {
						return fmt.Errorf("row %d is too far: %w", at+int64(i), tables.ErrUnsupported)
					}
				}
				at += int64(len(hashes))
				return nil
			})
			if err != nil {
				return fmt.Errorf("look at what was written anew: %s: %w", f.Path, err)
			}
		}
	}
	for _, f := range w.live {
		err := w.s.eachKey(ctx, w.h, f.Key, func(hashes []upsert.Hash, ids []tables.RowID) error {
			for i, k := range hashes {
				if !mine(k) {
					continue
				}
				if err := w.held(last, k, ids[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("look at the table's rows: %s: %w", f.Key, err)
		}
	}
	if w.strict {
		for _, row := range last {
			if !row.gone && !row.live {
				if w.fresh = append(w.fresh, row.RowID); len(w.fresh) > maxDoubts {
					return w.short(row.RowID)
				}
			}
		}
	}
	return nil
}

// dropAt has a row of a file go; false if there is no such position.
func (w *settling) dropAt(path string, at int64) bool {
	d := w.drop[path]
	if d == nil {
		d = &dropRows{}
		w.drop[path] = d
	}
	d.n++
	return d.set.add(at)
}

// held looks whether what was written anew stands for a row of the table: its own
// record, or one of its key that came later.
func (w *settling) held(last map[upsert.Hash]lastRow, k upsert.Hash, row tables.RowID) error {
	now, ok := last[k]
	if ok {
		now.live = true
		last[k] = now
	}
	if ok && (now.Partition != row.Partition || now.Offset >= row.Offset) {
		return nil
	}
	if w.doubt = append(w.doubt, row); len(w.doubt) > maxDoubts {
		return fmt.Errorf("the table has %d rows and more, as of partition %d offset %d, that the log does not bring: %w", maxDoubts, row.Partition, row.Offset, ErrLogShort)
	}
	return nil
}

// lossless refuses an exchange that would take away what only the table has, or
// bring back what a record took away that is gone. A row that nothing written anew
// stands for, and a dead letter, has to have its record in the log: then it is
// decoded otherwise by now.
func (w *settling) lossless(ctx context.Context, m *member) error {
	dead, err := w.s.openDead(ctx, m, false)
	if err != nil {
		return err
	}
	letters := map[int32]*offsetSet{}
	if dead != nil {
		if _, err := collect(ctx, dead, letters, nil); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
	}
	for _, id := range w.fresh {
		if set := letters[id.Partition]; set == nil || !set.has(id.Offset) {
			return w.short(id)
		}
	}
	if len(w.doubt)+len(letters) == 0 {
		return nil
	}
	there := map[int32]*offsetSet{}
	for part, to := range m.at.Offsets {
		err := w.s.eachRecord(ctx, part, 0, to, false, func(off, _ int64) error {
			return addTo(there, tables.RowID{Partition: part, Offset: off})
		})
		if err != nil {
			return err
		}
	}
	for _, id := range w.doubt {
		if set := there[id.Partition]; set == nil || !set.has(id.Offset) {
			return fmt.Errorf("the table has a row of partition %d offset %d, whose record the log no longer has, nor a later one of its key: %w", id.Partition, id.Offset, ErrLogShort)
		}
	}
	if t, ok := dead.(tables.Maintainer); ok {
		if err := w.s.among(ctx, t, there); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
	}
	return nil
}

func (w *settling) short(id tables.RowID) error {
	return fmt.Errorf("the log is compacted, the table keyed by %v, and it has no row for the record of partition %d offset %d: what took the row away may be gone from the log: %w",
		w.s.topic.Upsert, id.Partition, id.Offset, ErrLogShort)
}

// settlePiece writes the files of a piece anew that lose rows, stores it so, and
// removes what it had before.
func (s *sink) settlePiece(ctx context.Context, m *member, p *rebuildPiece, drop map[string]*dropRows) error {
	var kept []tables.DataFile
	var made, old []string
	id := uuid.NewString()
	for i, f := range p.Files {
		d := drop[f.Path]
		if d == nil {
			kept = append(kept, f)
			continue
		}
		old = append(old, f.Path)
		if d.n == f.Rows {
			continue
		}
		next, err := s.withoutRows(ctx, m, f, d, m.table.DataPath(fmt.Sprintf("rebuild-%s-%d.parquet", id, i)))
		if err != nil {
			s.remove(ctx, made)
			return err
		}
		made, kept = append(made, next.Path), append(kept, next)
	}
	if len(old) == 0 {
		return nil
	}
	next := *p
	next.Files = kept
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	s.loaded = false
	err = s.items.Put(ctx, tables.Item{Key: p.item.Key, Value: value, Version: p.item.Version})
	if errors.Is(err, tables.ErrItemConflict) { // it was given up elsewhere
		s.remove(ctx, made)
	}
	if err != nil {
		return fmt.Errorf("store a piece of a rebuild: %w", err)
	}
	*p = next
	s.remove(ctx, old)
	return nil
}

// withoutRows writes a file of a piece anew without some of its rows.
func (s *sink) withoutRows(ctx context.Context, m *member, f tables.DataFile, d *dropRows, path string) (tables.DataFile, error) {
	physical, err := m.table.Physical(s.schema)
	if err != nil {
		return tables.DataFile{}, err
	}
	positions := make([]int64, 0, d.n)
	for _, number := range slices.Sorted(maps.Keys(d.set.pages)) {
		for at := number * pageOffsets; at < (number+1)*pageOffsets; at++ {
			if d.set.has(at) {
				positions = append(positions, at)
			}
		}
	}
	was := tables.LiveFile{Key: f.Path, Size: f.Size, Rows: f.Rows, Ranges: f.Ranges}
	next, err := maintenance.Without(ctx, s.store, physical, was, positions, path)
	if err != nil {
		return tables.DataFile{}, err
	}
	if next == nil {
		return tables.DataFile{}, fmt.Errorf("%s has fewer than %d rows: %w", f.Path, f.Rows, tables.ErrBroken)
	}
	next.Like, next.Partition, next.Sorted = "", f.Partition, f.Sorted // it is in no table yet
	return *next, nil
}
