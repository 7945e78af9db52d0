package sink

import (
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/tables"
)

// Kafka's own columns stand first in every table, so that their ids never
// change and their statistics are among the ones that Delta keeps.
const (
	colPartition = iota
	colOffset
	colTimestamp
	colKey
	colHeaders
	colSchemaID
)

// Names of columns that need special care.
const (
	nameKeyDecoded = "kafka_key_decoded"
	nameExtra      = "kafka_extra"
)

// kafkaColumns are the columns that every table has.
func kafkaColumns() []arrow.Field {
	header := arrow.StructOf(
		arrow.Field{Name: "key", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "value", Type: arrow.BinaryTypes.Binary, Nullable: true},
	)
	return []arrow.Field{
		{Name: "kafka_partition", Type: arrow.PrimitiveTypes.Int32},
		{Name: "kafka_offset", Type: arrow.PrimitiveTypes.Int64},
		{Name: "kafka_timestamp", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}},
		{Name: "kafka_key", Type: arrow.BinaryTypes.Binary, Nullable: true},
		{Name: "kafka_headers", Type: arrow.ListOfField(arrow.Field{Name: "element", Type: header})},
		{Name: "kafka_schema_id", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	}
}

// keyColumn is the column of decoded keys.
func keyColumn(columns *arrow.Schema) arrow.Field {
	return arrow.Field{Name: nameKeyDecoded, Type: arrow.StructOf(columns.Fields()...), Nullable: true}
}

// tableColumns are the columns of a table for records of these decoders, with
// the aliases of their fields; key and value may be nil.
func tableColumns(key, value schema.Decoder, extra bool) *arrow.Schema {
	fields := kafkaColumns()
	if key != nil {
		fields = append(fields, keyColumn(schema.AliasedColumns(key)))
	}
	if value != nil {
		for _, f := range schema.AliasedColumns(value).Fields() {
			if extra || f.Name != nameExtra {
				fields = append(fields, f)
			}
		}
	}
	return arrow.NewSchema(fields, nil)
}

// groupKey tells rows apart that have different columns. A nil value stands
// for tombstones, a nil key for records whose key is null or has no schema.
type groupKey struct {
	key, value schema.Decoder
}

// group collects the rows of one groupKey during a cut.
type group struct {
	groupKey
	kafka     *schema.Rows
	keyRows   *schema.Rows  // nil if key is
	valueRows *schema.Rows  // nil if value is
	columns   *arrow.Schema // as the table names them
	refused   error         // why the table cannot take this group's columns
	// refuses says why the last row of valueRows is none of the table's; nil: it is
	// not asked.
	refuses func(valueRows *schema.Rows) error
	gen     *generator // of the columns that are computed; nil: none
	leaves  int64      // values of a row, at least
	full    []chunk    // rows that are through
	rows    int        // in full
	bytes   int64      // in full
	held    int64      // bytes of the columns at the last look
	weighed int        // rows then
}

// chunkRows is how many rows stand in columns before new ones are begun. Those
// of the first chunk tell how large the next will be, so columns hardly grow,
// which would copy them; and it is few enough for a processor's caches.
const chunkRows = 1 << 14

// chunk are rows in the columns of their group; key and value are nil as there.
type chunk struct {
	kafka, key, value, gen arrow.RecordBatch
}

// through closes the rows at hand, if there are any.
func (g *group) through() {
	n := g.kafka.Len()
	if n == 0 {
		return
	}
	g.bytes += g.columnBytes()
	c := chunk{kafka: g.kafka.Batch()}
	if g.keyRows != nil {
		c.key = g.keyRows.Batch()
	}
	if g.valueRows != nil {
		c.value = g.valueRows.Batch()
	}
	if g.gen != nil {
		c.gen = g.gen.rows.Batch()
	}
	g.full, g.rows = append(g.full, c), g.rows+n
}

// columnBytes is how many bytes the columns at hand hold.
func (g *group) columnBytes() int64 {
	n := g.kafka.Bytes()
	for _, r := range []*schema.Rows{g.keyRows, g.valueRows} {
		if r != nil {
			n += r.Bytes()
		}
	}
	if g.gen != nil {
		n += g.gen.rows.Bytes()
	}
	return n
}

func newGroup(k groupKey) (*group, error) {
	g := &group{groupKey: k}
	var err error
	if g.kafka, err = schema.NewRows(arrow.NewSchema(kafkaColumns(), nil)); err != nil {
		return nil, fmt.Errorf("kafka columns: %w", err)
	}
	if k.key != nil {
		if g.keyRows, err = schema.NewRows(k.key.Columns()); err != nil {
			return nil, fmt.Errorf("key columns: %w", err)
		}
	}
	if k.value != nil {
		if g.valueRows, err = schema.NewRows(k.value.Columns()); err != nil {
			return nil, fmt.Errorf("value columns: %w", err)
		}
	}
	g.leaves = leaves(tableColumns(k.key, k.value, true).Fields())
	return g, nil
}

// leaves counts the columns that hold values, at all depths.
func leaves(fields []arrow.Field) (n int64) {
	for _, f := range fields {
		if held := tables.Children(f.Type); held != nil {
			n += leaves(held)
		} else {
			n++
		}
	}
	return n
}

// weigh is how many bytes the group's columns hold.
func (g *group) weigh() int64 {
	if g.weighed == g.len() {
		return g.held
	}
	g.weighed, g.held = g.len(), g.bytes+g.columnBytes()
	return g.held
}

// add appends one record. On an error nothing of it is kept.
func (g *group) add(partition int32, r *record.Record, keyBytes, valueBytes []byte, schemaID int) error {
	if g.value != nil {
		if err := g.value.Decode(valueBytes, g.valueRows); err != nil {
			return err
		}
		if g.refuses != nil {
			if err := g.refuses(g.valueRows); err != nil {
				g.dropValue()
				return err
			}
		}
	}
	if g.key != nil {
		if err := g.key.Decode(keyBytes, g.keyRows); err != nil {
			g.dropValue()
			return err
		}
	}
	appendKafka(g.kafka, partition, r, schemaID)
	if err := g.kafka.EndRow(); err != nil {
		g.kafka.Undo()
		g.dropValue()
		if g.key != nil {
			g.keyRows.DropLast()
		}
		return err
	}
	if g.gen != nil {
		if err := g.gen.add(g.kafka.Len() - 1); err != nil {
			g.kafka.DropLast()
			g.dropValue()
			if g.key != nil {
				g.keyRows.DropLast()
			}
			return err
		}
	}
	if g.kafka.Len() >= chunkRows {
		g.through()
	}
	return nil
}

// dropValue takes back the last value row, whose key or metadata was refused.
func (g *group) dropValue() {
	if g.value != nil {
		g.valueRows.DropLast()
	}
}

// appendKafka appends Kafka's own columns of one record.
func appendKafka(rows *schema.Rows, partition int32, r *record.Record, schemaID int) {
	rows.Column(colPartition).Int32(partition)
	rows.Column(colOffset).Int64(r.Offset)
	rows.Column(colTimestamp).Int64(micros(r.Timestamp))
	appendBytes(rows.Column(colKey), r.Key)
	headers := rows.Column(colHeaders)
	n := 0
	for k, v := range r.Headers() {
		h := headers.Elem()
		h.Child(0).Bytes(validUTF8(k))
		appendBytes(h.Child(1), v)
		h.Struct()
		n++
	}
	headers.List(n)
	if schemaID > 0 {
		rows.Column(colSchemaID).Int32(int32(schemaID))
	} else {
		rows.Column(colSchemaID).Null()
	}
}

// micros turns a client's milliseconds into microseconds. Kafka takes any
// number; those that lie too far off become the furthest there is.
func micros(ms int64) int64 {
	return min(max(ms, math.MinInt64/1000), math.MaxInt64/1000) * 1000
}

func appendBytes(c *schema.Column, b []byte) {
	if b == nil {
		c.Null()
	} else {
		c.Bytes(b)
	}
}

func (g *group) len() int { return g.rows + g.kafka.Len() }

// batches hands the group's rows over in the table's columns, and leaves none.
func (g *group) batches(to *tables.Schema, extra bool) ([]arrow.RecordBatch, error) {
	g.through()
	out := make([]arrow.RecordBatch, 0, len(g.full))
	for _, c := range g.full {
		b, err := c.batch(g.columns, to, extra)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	g.full, g.rows, g.bytes = nil, 0, 0
	return out, nil
}

// batch is a chunk in the table's columns, some of which have other names there
// than in the chunk.
func (c chunk) batch(columns *arrow.Schema, to *tables.Schema, extra bool) (arrow.RecordBatch, error) {
	cols := append([]arrow.Array(nil), c.kafka.Columns()...)
	if c.key != nil {
		cols = append(cols, array.RecordToStructArray(c.key))
	}
	if c.value != nil {
		for i, f := range c.value.Schema().Fields() {
			if extra || f.Name != nameExtra {
				cols = append(cols, c.value.Column(i))
			}
		}
	}
	if c.gen != nil {
		cols = append(cols, c.gen.Columns()...)
	}
	for i, f := range columns.Fields() {
		cols[i] = array.MakeFromData(Renamed(cols[i].Data(), f.Type))
	}
	rec := array.NewRecordBatch(columns, cols, c.kafka.NumRows())
	out, err := tables.Project(rec, to)
	if err != nil {
		return nil, fmt.Errorf("fit rows to the table: %w", err)
	}
	return out, nil
}

// isFull reports whether a row was not taken only because the columns are full.
func isFull(err error) bool { return errors.Is(err, schema.ErrFull) }
