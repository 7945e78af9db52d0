package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema/formula"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/upsert"
)

// Limits of tables of latest values.
const (
	// indexBytes bounds what is remembered of keys, of all tables together: some
	// 6.7 million rows. Files beyond it are read at each commit.
	indexBytes = 128 << 20
	// upsertTimeout bounds a commit that may write most of a table anew.
	upsertTimeout = time.Hour
)

// RecordKey is the column of the record's key, by which tables of latest values
// are keyed where nothing else is said.
const RecordKey = "kafka_key"

// errNoKey is why a record cannot become a row, or take one away.
var errNoKey = errors.New("the record has no key, and the table has one row a key (tarn.table.mode=upsert)")

// mode is what a table's progress says of how its rows came to be.
func (t Topic) mode() string {
	if len(t.Upsert) == 0 {
		return ""
	}
	return "upsert " + strings.Join(t.Upsert, ",")
}

// byRecordKey reports whether the record's key is the table's.
func (t Topic) byRecordKey() bool { return slices.Equal(t.Upsert, []string{RecordKey}) }

// checkKey reports, as a state, why the table cannot be keyed as the topic asks.
// Columns of a version that is registered and not used yet count.
func (s *sink) checkKey() error {
	if len(s.topic.Upsert) == 0 {
		return nil
	}
	err := upsert.CheckKey(s.schema, s.topic.Upsert)
	if err == nil {
		return nil
	}
	if formulas, ferr := s.topic.formulas(); ferr == nil {
		next, ferr := s.grown(s.schema, s.knownColumns(), formulas)
		if ferr == nil && upsert.CheckKey(next, s.topic.Upsert) == nil {
			return nil
		}
	}
	return &stopError{BadKey, fmt.Errorf("tarn.table.key: %w", err)}
}

// mainProgress reads the progress of the table of rows, and holds it against the
// log and the topic's mode: rows of another mode are not to be mixed with ours.
func (s *sink) mainProgress(ctx context.Context, t tables.Table) (tables.Progress, error) {
	p, err := s.progress(ctx, t)
	if err != nil || p.TopicID == "" || p.Extra[modeKey] == s.topic.mode() {
		return p, err
	}
	name := func(mode string) string {
		if mode == "" {
			return "append"
		}
		return mode
	}
	return p, &stopError{ModeChanged, fmt.Errorf("the table was written in mode %q, the topic asks for %q",
		name(p.Extra[modeKey]), name(s.topic.mode()))}
}

// tellsRows reports, as an error, why records of a group cannot be told apart by the
// table's key: a record without a value has only its own key to say which row
// goes.
func (c *cut) tellsRows(k groupKey, columns *arrow.Schema) error {
	for _, name := range c.s.topic.Upsert {
		if slices.ContainsFunc(kafkaColumns(), func(f arrow.Field) bool { return f.Name == name }) {
			continue
		}
		switch {
		case k.value != nil && slices.ContainsFunc(c.formulas, func(f formula.Formula) bool { return f.Name == name }):
		case k.value != nil && len(columns.FieldIndices(name)) == 0:
			return fmt.Errorf("the record's schema has no column %q, which is the table's key (tarn.table.key)", name)
		case k.value == nil && (k.key == nil || len(k.key.Columns().FieldIndices(name)) == 0):
			return fmt.Errorf("a record without a value deletes a row, and its key has no field %q to say which (tarn.table.key)", name)
		}
	}
	return nil
}

// fitKeys reports, as an error, why keys of a group of records without values
// are none of the table's. The group is new.
func (c *cut) fitKeys(g *group) error {
	none := chunk{kafka: g.kafka.Batch()}
	if g.keyRows != nil {
		none.key = g.keyRows.Batch()
	}
	if _, err := none.gone(goneSchema(c.schema, c.s.topic.Upsert)); err != nil {
		return fmt.Errorf("the key of a record without a value is none of the table's: %w", err)
	}
	return nil
}

// goneSchema are the columns of a file of keys: where the record is, and the
// table's key.
func goneSchema(s *tables.Schema, key []string) *tables.Schema {
	var fields []arrow.Field
	for i, f := range s.Arrow.Fields() {
		if i == colPartition || i == colOffset || slices.Contains(key, f.Name) {
			fields = append(fields, f)
		}
	}
	return &tables.Schema{ID: s.ID, LastID: s.LastID, Arrow: arrow.NewSchema(fields, nil)}
}

// gone hands over the keys of a group of records without values, and leaves none.
func (g *group) gone(to *tables.Schema) ([]arrow.RecordBatch, error) {
	g.through()
	var out []arrow.RecordBatch
	for _, c := range g.full {
		b, err := c.gone(to)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	g.full, g.rows, g.bytes = nil, 0, 0
	return out, nil
}

// gone are the keys of a chunk's records.
func (c chunk) gone(to *tables.Schema) (arrow.RecordBatch, error) {
	var fields []arrow.Field
	var cols []arrow.Array
	for _, f := range to.Arrow.Fields() {
		from := c.kafka
		if len(from.Schema().FieldIndices(f.Name)) == 0 && c.key != nil {
			from = c.key
		}
		at := from.Schema().FieldIndices(f.Name)
		if len(at) != 1 {
			return nil, fmt.Errorf("keys of deleted rows lack column %q: %w", f.Name, tables.ErrSchema)
		}
		fields, cols = append(fields, from.Schema().Field(at[0])), append(cols, from.Column(at[0]))
	}
	out, err := tables.Project(array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, c.kafka.NumRows()), to)
	if err != nil {
		return nil, fmt.Errorf("fit keys to the table: %w", err)
	}
	return out, nil
}

// latest hands over what a cut makes of a table of latest values: for each key
// the row of its last record, or the key alone where that has no value. Last is
// the greatest partition and then the greatest offset: producers that spread a
// key over partitions have to live with that.
func (c *cut) latest(ctx context.Context) (rows, gone []arrow.RecordBatch, err error) {
	rows, gone, err = c.all(ctx)
	if err != nil {
		return nil, nil, err
	}
	n, all := len(rows), slices.Concat(rows, gone)
	rows, gone = nil, nil
	keep, err := lastOf(all, c.s.topic.Upsert)
	if err != nil {
		return nil, nil, err
	}
	for i, b := range all {
		if slices.Contains(keep[i], false) {
			if b, err = maintenance.Pick(ctx, b, keep[i]); err != nil {
				return nil, nil, err
			}
		}
		switch {
		case b.NumRows() == 0:
		case i < n:
			rows = append(rows, b)
		default:
			gone = append(gone, b)
		}
	}
	return rows, gone, nil
}

// all hands over the rows of all records with a value, and the keys of those
// without, and of those that say that their row was deleted.
func (c *cut) all(ctx context.Context) (rows, gone []arrow.RecordBatch, err error) {
	if rows, err = c.batches(); err != nil {
		return nil, nil, err
	}
	if rows, gone, err = c.deleted(ctx, rows); err != nil {
		return nil, nil, err
	}
	to := goneSchema(c.schema, c.s.topic.Upsert)
	for _, g := range c.groups {
		if g.value != nil || g.len() == 0 {
			continue
		}
		keys, err := g.gone(to)
		if err != nil {
			return nil, nil, err
		}
		gone = append(gone, keys...)
	}
	return rows, gone, nil
}

// lastOf tells, for each row, whether it is of the last record that has its key.
func lastOf(all []arrow.RecordBatch, key []string) ([][]bool, error) {
	h := upsert.NewHasher()
	last := map[upsert.Hash]tables.RowID{}
	hashes := make([][]upsert.Hash, len(all))
	places := make([][]tables.RowID, len(all))
	for i, b := range all {
		var err error
		if hashes[i], err = h.Batch(b, key); err != nil {
			return nil, err
		}
		if places[i], err = placesOf(b); err != nil {
			return nil, err
		}
		for row, k := range hashes[i] {
			p := places[i][row]
			have, ok := last[k]
			if !ok || p.Partition > have.Partition || p.Partition == have.Partition && p.Offset > have.Offset {
				last[k] = p
			}
		}
	}
	keep := make([][]bool, len(all))
	for i := range all {
		keep[i] = make([]bool, len(hashes[i]))
		for row, k := range hashes[i] {
			keep[i][row] = last[k] == places[i][row]
		}
	}
	return keep, nil
}

// placesOf reads where the rows of a batch come from.
func placesOf(b arrow.RecordBatch) ([]tables.RowID, error) {
	p, okP := columnOf(b, parquet.PartitionColumn).(*array.Int32)
	o, okO := columnOf(b, parquet.OffsetColumn).(*array.Int64)
	if !okP || !okO {
		return nil, fmt.Errorf("rows do not say where they are from: %w", tables.ErrSchema)
	}
	out := make([]tables.RowID, b.NumRows())
	for i := range out {
		out[i] = tables.RowID{Partition: p.Value(i), Offset: o.Value(i)}
	}
	return out, nil
}

func columnOf(b arrow.RecordBatch, name string) arrow.Array {
	if at := b.Schema().FieldIndices(name); len(at) == 1 {
		return b.Column(at[0])
	}
	return nil
}

// placeGone writes the keys of rows that a cut deletes, for every target.
func (s *sink) placeGone(ctx context.Context, e *entry, c *cut, to []target, gone []arrow.RecordBatch) (map[*member]*tables.DataFile, error) {
	if len(gone) == 0 {
		return nil, nil
	}
	for _, b := range gone {
		e.Gone += b.NumRows()
	}
	keys := make([]target, len(to))
	for i, t := range to {
		keys[i] = target{t.m, t.table, goneSchema(t.physical, s.topic.Upsert)}
	}
	files, err := s.place(ctx, keys, gone, e.fileName("keys"), tables.DataFile{Ranges: c.ranges()})
	if err != nil {
		return nil, fmt.Errorf("keys of deleted rows: %w", err)
	}
	for _, f := range files {
		f.Columns = nil // no table ever says them
	}
	return files, nil
}

// forgetKeys gives back the memory of what is known of keys.
func (s *sink) forgetKeys() {
	for _, m := range s.members {
		m.index.Close()
	}
}

// bring makes an entry's commit to a format's table.
func (s *sink) bring(ctx context.Context, m *member, c tables.Commit, gone *tables.DataFile) error {
	if s.fault == nil {
		return s.commitRows(ctx, m, c, gone)
	}
	if err := s.fault(s.topic.Name, m.name, false); err != nil {
		return err
	}
	if err := s.commitRows(ctx, m, c, gone); err != nil {
		return err
	}
	return s.fault(s.topic.Name, m.name, true)
}

func (s *sink) commitRows(ctx context.Context, m *member, c tables.Commit, gone *tables.DataFile) error {
	if len(s.topic.Upsert) == 0 {
		return m.table.Commit(ctx, c)
	}
	t, ok := m.table.(tables.Replacer)
	if !ok {
		return fmt.Errorf("%s tables cannot replace rows: take the format out of tarn.table.formats: %w", m.name, tables.ErrUnsupported)
	}
	return m.index.Commit(ctx, t, c, upsert.Upsert{Store: s.store, Key: s.topic.Upsert, Gone: gone})
}
