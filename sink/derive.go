package sink

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/formula"
	"github.com/tarn-io/tarn/tables"
)

// Deriver computes a table's computed columns for records that are in no table yet:
// for who shows them beside those that are. Not safe for concurrent use.
type Deriver struct {
	topic    Topic
	formulas []formula.Formula
	table    *tables.Schema
	known    []*arrow.Schema
	places   map[groupKey]int
	groups   []*group
}

// NewDeriver returns a Deriver for a topic whose table has a schema; known are the
// columns of the versions of its values. It is nil where no column is computed.
func NewDeriver(t Topic, table *tables.Schema, known []*arrow.Schema) *Deriver {
	formulas, err := t.formulas()
	if err != nil || len(formulas) == 0 {
		return nil
	}
	return &Deriver{topic: t, formulas: formulas, table: table, known: known, places: map[groupKey]int{}}
}

// Has reports whether a column is computed.
func (d *Deriver) Has(column string) bool {
	if d == nil {
		return false
	}
	for _, f := range d.formulas {
		if f.Name == column {
			return true
		}
	}
	return false
}

// Add computes the columns for one record, whose parts are read as the payloads say;
// parts without a decoder are null. It returns in which of Batches the row stands,
// and where. An error says why the record is none of the table's.
func (d *Deriver) Add(partition int32, r *record.Record, schemaID int, key, value registry.Payload) (batch, row int, err error) {
	k := groupKey{key.Decoder, value.Decoder}
	batch, ok := d.places[k]
	if !ok {
		g, err := newGroup(k)
		if err != nil {
			g = &group{groupKey: k, refused: err}
		} else {
			columns := schema.Keep(d.table.Arrow, tableColumns(k.key, k.value, d.topic.JSONExtra), d.known...)
			g.refused = g.newGenerator(d.formulas, d.table, columns, d.topic.JSONExtra)
		}
		batch = len(d.groups)
		d.places[k], d.groups = batch, append(d.groups, g)
	}
	g := d.groups[batch]
	if g.refused != nil {
		return 0, 0, g.refused
	}
	return batch, g.kafka.Len(), g.add(partition, r, key.Bytes, value.Bytes, schemaID)
}

// Batches hands over what was computed: at most 16383 rows were added by then. The
// Deriver is of no use after it.
func (d *Deriver) Batches() []arrow.RecordBatch {
	out := make([]arrow.RecordBatch, len(d.groups))
	for i, g := range d.groups {
		if g.gen != nil {
			out[i] = g.gen.rows.Batch()
		}
	}
	return out
}
