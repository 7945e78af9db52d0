package sink

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/debezium"
	"github.com/tarn-io/tarn/schema/plain"
	"github.com/tarn-io/tarn/tables/maintenance"
)

// Debezium, as Topic.Unwrap, makes the rows of change envelopes those of their
// source.
const Debezium = "debezium"

// Unwrapper makes rows of what envelopes hold. The zero value leaves values as they
// are. It remembers its decoders, which tell groups of rows apart, and is not safe
// for concurrent use.
type Unwrapper struct {
	kind string
	made map[schema.Decoder]unwrapped
}

type unwrapped struct {
	decoder schema.Decoder
	err     error
}

// NewUnwrapper returns an Unwrapper for Topic.Unwrap.
func NewUnwrapper(kind string) *Unwrapper {
	return &Unwrapper{kind: kind, made: map[schema.Decoder]unwrapped{}}
}

// Decoder is what values that d reads are read by. An error says why they are no
// envelopes.
func (u *Unwrapper) Decoder(d schema.Decoder) (schema.Decoder, error) {
	if u == nil || u.kind == "" || d == nil {
		return d, nil
	}
	made, ok := u.made[d]
	if !ok {
		made.decoder, made.err = unwrap(d)
		u.made[d] = made
	}
	return made.decoder, made.err
}

func unwrap(d schema.Decoder) (schema.Decoder, error) {
	if p, ok := d.(plain.Decoder); ok {
		if p.Manner() == plain.JSON {
			return debezium.NewJSON(), nil
		}
		return nil, fmt.Errorf("values without a schema are change envelopes as JSON only: set tarn.table.value.as=json or schema, not %s", p.Manner())
	}
	u, err := debezium.New(d)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// Columns are those of the rows that values with such columns become. Columns of no
// envelope stay as they are: nothing is known of them.
func (u *Unwrapper) Columns(columns *arrow.Schema) *arrow.Schema {
	if u == nil || u.kind == "" {
		return columns
	}
	out, err := debezium.Columns(columns)
	if err != nil {
		return columns
	}
	return out
}

// Reasons why a change is no row of a table of latest values.
var (
	errTruncate = errors.New("the source's table was truncated, and that takes no rows away here (tarn.table.mode=upsert): delete them, or move the table away and restart to write it anew")
	errNoBefore = errors.New("a row was deleted, and the change does not say which: its before image lacks the table's key (tarn.table.key); key the table by the record's key, or have the source write whole rows")
)

// watch has a new group refuse changes that a table of latest values cannot take.
// columns are as the table names them.
func (c *cut) watch(g *group, columns *arrow.Schema) {
	topic := &c.s.topic
	if topic.Unwrap == "" || len(topic.Upsert) == 0 || g.value == nil {
		return
	}
	first := columns.NumFields() - g.value.Columns().NumFields() // of the value
	if !topic.JSONExtra && len(g.value.Columns().FieldIndices(nameExtra)) > 0 {
		first++ // it stands last, and is left out
	}
	op := g.value.Columns().FieldIndices(debezium.OpColumn)
	var keys []int
	for _, name := range topic.Upsert {
		for _, at := range columns.FieldIndices(name) {
			if at >= first {
				keys = append(keys, at-first)
			}
		}
	}
	g.refuses = func(rows *schema.Rows) error {
		last := rows.Len() - 1
		switch string(rows.Column(op[0]).BytesAt(last)) {
		case debezium.Truncate:
			return errTruncate
		case debezium.Delete:
			for _, i := range keys {
				if rows.Column(i).IsNull(last) {
					return errNoBefore
				}
			}
		}
		return nil
	}
}

// deleted splits rows into those that stand and the keys of those that their change
// deletes.
func (c *cut) deleted(ctx context.Context, all []arrow.RecordBatch) (rows, gone []arrow.RecordBatch, err error) {
	if c.s.topic.Unwrap == "" {
		return all, nil, nil
	}
	to := goneSchema(c.schema, c.s.topic.Upsert)
	for _, b := range all {
		ops, ok := columnOf(b, debezium.OpColumn).(*array.String)
		if !ok {
			return nil, nil, fmt.Errorf("rows of changes lack column %s", debezium.OpColumn)
		}
		keep, drop, n := make([]bool, b.NumRows()), make([]bool, b.NumRows()), 0
		for i := range keep {
			drop[i] = !ops.IsNull(i) && ops.Value(i) == debezium.Delete
			keep[i] = !drop[i]
			if drop[i] {
				n++
			}
		}
		if n == 0 {
			rows = append(rows, b)
			continue
		}
		kept, err := maintenance.Pick(ctx, b, keep)
		if err != nil {
			return nil, nil, err
		}
		lost, err := maintenance.Pick(ctx, b, drop)
		if err != nil {
			return nil, nil, err
		}
		keys := make([]arrow.Array, to.Arrow.NumFields())
		for i, f := range to.Arrow.Fields() {
			keys[i] = columnOf(lost, f.Name) // the columns are those of c.schema
		}
		rows = append(rows, kept)
		gone = append(gone, array.NewRecordBatch(to.Arrow, keys, lost.NumRows()))
	}
	return rows, gone, nil
}
