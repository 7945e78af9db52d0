package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"modernc.org/sqlite/vtab"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/plain"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

// part is which records of a topic a table of SQL has.
type part uint8

const (
	whole       part = iota // those of the lake table, and those of the log that it lacks
	logOnly                 // those that the log holds
	rowsOnly                // those in the lake table
	lettersOnly             // its dead letters
)

// from is where a column comes from.
type from uint8

const (
	fromPartition from = iota
	fromOffset
	fromTimestamp
	fromKey
	fromHeaders
	fromSchemaID
	fromKeyDecoded
	fromField // of the value
	fromPlain // the whole value, of a topic without a schema
	fromRaw   // the value's bytes
	fromError // why a record could not be read
)

// column is a column of a table of SQL.
type column struct {
	name    string // in SQL
	from    from
	field   string         // in tables and rows
	logical arrow.DataType // by the schema; nil where it is not asked
	decl    string
}

// Names of columns that need care.
const (
	nameKeyDecoded = "kafka_key_decoded"
	nameExtra      = "kafka_extra"
)

// relation is a table of SQL: a topic, or a part of it.
type relation struct {
	s     *session
	topic sink.Topic
	// schema and name are what SQL calls it.
	schema, name string
	part         part
	empty        bool // it has no rows
	// refused says why its rows cannot be asked for. A statement may name it without
	// asking for them, as in log.orders.
	refused error

	columns []column
	src     *source
	logs    map[int32]*commitlog.Log

	key, value           registry.Reading
	keyPlain, valuePlain schema.Decoder // nil: by a schema
	keyed                bool           // keys are decoded

	have  *arrow.Schema                    // columns of values, as SQL has them
	known []*arrow.Schema                  // of versions, for the aliases of their fields
	kept  map[schema.Decoder]*arrow.Schema // columns of decoders, under the names of have
	rows  *sink.Unwrapper                  // what makes rows of envelopes
	to    schema.Resolver                  // the version that values are brought to; nil: their own
	made  map[schema.Schema]schema.Decoder // decoders that do

	memos map[string]*memo // by plan: rows that joins ask for again and again
}

// open settles what the table holds and its columns.
func (r *relation) open() error {
	t := r.topic
	if allow := r.s.req.Allow; allow != nil {
		if err := allow(t.Name); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	r.key, r.value = t.Key, t.Value
	reg := r.s.engine.cfg.Registry
	if r.key.Subject == "" {
		r.key.Subject = reg.SubjectOf(t.Name, "key")
	}
	if r.value.Subject == "" {
		r.value.Subject = reg.SubjectOf(t.Name, "value")
	}
	r.keyPlain, r.valuePlain = plainly(t.KeyAs), plainly(t.ValueAs)
	if t.KeyAs == string(plain.Binary) {
		r.keyPlain = nil // kafka_key has it
	}
	if err := r.settle(); err != nil {
		return err
	}
	if r.part == whole && r.src.hasLake && len(t.Upsert) > 0 {
		r.refused = fmt.Errorf("%w: the table of %s holds the latest value of each key, and its log all values: ask lake.%[2]s or log.%[2]s", ErrRefused, quote(t.Name))
	}
	// Without a table, the topic is its log; with one that cannot be read, to say so is
	// better than half of the records.
	if err := r.src.lakeErr; err != nil && !errors.Is(err, sink.ErrNoTable) && r.part == whole {
		if errors.Is(err, tables.ErrForeign) || errors.Is(err, tables.ErrFeature) {
			err = fmt.Errorf("%w: %w", ErrRefused, err)
		}
		r.refused = fmt.Errorf("%w; log.%s can be read all the same", err, quote(t.Name))
	}
	if (r.part == rowsOnly || r.part == lettersOnly) && !r.src.hasLake {
		if errors.Is(r.src.lakeErr, sink.ErrNoTable) {
			return fmt.Errorf("%w: lake.%s is not there yet, for it is made with its first commit: tarn table status %s says how far it is", ErrRefused, bare(t.Name), t.Name)
		}
		return fmt.Errorf("%w: lake.%s: %w", ErrRefused, quote(t.Name), r.src.lakeErr)
	}
	return r.settleColumns()
}

// plainly is the decoder of a part that is taken without a schema, nil if it has one.
func plainly(as string) schema.Decoder {
	d, err := plain.New(plain.Manner(as))
	if err != nil {
		return nil
	}
	return d
}

// settle finds what a session reads of a topic, once: where the table is, then
// where the log ends. The log ends behind the table, so between them nothing is
// missing. Whoever asks for the log alone does not wait for the table, which may lie where
// nobody answers.
func (r *relation) settle() error {
	r.logs = map[int32]*commitlog.Log{}
	for p := range r.topic.Partitions {
		log, err := r.s.engine.cfg.Logs.Log(r.s.ctx, storage.TP{Topic: r.topic.ID, Partition: p})
		if err != nil {
			return fmt.Errorf("log of %s partition %d: %w", r.topic.Name, p, err)
		}
		r.logs[p] = log
	}
	if r.src = r.s.topics[r.topic.Name]; r.src != nil {
		return nil
	}
	src := r.look()
	// A table may take records and have them deleted from the log between the two
	// looks. Where the log begins behind the table for good, nobody has them.
	for try := 1; try < maxTries && src.parted(); try++ {
		src = r.look()
	}
	// Nor may the table have been made between them: if it is there now, it has what
	// it took. If not, the log that was looked at before had everything.
	for try := 1; try < maxTries && errors.Is(src.lakeErr, sink.ErrNoTable); try++ {
		next := r.look()
		if !next.hasLake {
			break
		}
		src = next
	}
	r.src, r.s.topics[r.topic.Name] = src, src
	return nil
}

// look looks at the table, and then at the log.
func (r *relation) look() *source {
	src := &source{from: map[int32]int64{}, to: map[int32]int64{}}
	if len(r.topic.Formats) > 0 && (r.part != logOnly || r.s.lakes[r.topic.Name]) {
		src.lake, src.lakeErr = r.s.engine.cfg.Lake(r.s.ctx, r.topic.Name)
		src.hasLake = src.lakeErr == nil
	}
	for p, log := range r.logs {
		src.from[p], src.to[p] = log.Start(), log.LastStable()
	}
	return src
}

// parted reports whether the log begins behind where the table is.
func (s *source) parted() bool {
	for p, from := range s.from {
		if s.hasLake && from > s.lake.Progress[p] {
			return true
		}
	}
	return false
}

// kafkaColumns are the first columns of every table.
var kafkaColumns = [...]column{
	{name: "kafka_partition", from: fromPartition, decl: "INTEGER"},
	{name: "kafka_offset", from: fromOffset, decl: "INTEGER"},
	{name: "kafka_timestamp", from: fromTimestamp, decl: declStamp},
	{name: "kafka_key", from: fromKey, decl: "TEXT"},
	{name: "kafka_headers", from: fromHeaders, decl: declJSON},
	{name: "kafka_schema_id", from: fromSchemaID, decl: "INTEGER"},
}

// settleColumns works out the table's columns.
func (r *relation) settleColumns() error {
	r.columns = append(r.columns[:0], kafkaColumns[:]...)
	if r.part == lettersOnly {
		for _, c := range []column{
			{name: "kafka_topic", from: fromField, field: "kafka_topic", logical: arrow.BinaryTypes.String},
			{name: "kafka_value", from: fromField, field: "kafka_value", logical: arrow.BinaryTypes.Binary},
			{name: "reason", from: fromField, field: "reason", logical: arrow.BinaryTypes.String},
			{name: "path", from: fromField, field: "path", logical: arrow.BinaryTypes.String},
		} {
			r.add(c)
		}
		return nil
	}
	key, value := r.decoders()
	r.keyed = key != nil
	// What the log holds is shown as it is there, what a table holds as it is in it.
	if r.part != logOnly {
		r.rows = sink.NewUnwrapper(r.topic.Unwrap)
	}
	if value != nil {
		if d, err := r.rows.Decoder(value); err == nil {
			value = d
		}
	}
	if r.valuePlain == nil {
		for _, k := range r.s.engine.cfg.Registry.Known(r.value.Subject) {
			r.known = append(r.known, r.rows.Columns(k))
		}
	}
	var fields []arrow.Field
	if r.src.hasLake && r.part != logOnly {
		fields = r.src.lake.Schema.Arrow.Fields()
	}
	fields = slices.Clone(fields)
	for _, f := range schema.Keep(arrow.NewSchema(fields, nil), newest(key, value, r.topic.JSONExtra), r.known...).Fields() {
		if !hasField(fields, f.Name) {
			fields = append(fields, f)
		}
	}
	r.have, r.kept = arrow.NewSchema(fields, nil), map[schema.Decoder]*arrow.Schema{}
	for _, f := range fields {
		switch {
		case f.Name == nameKeyDecoded:
			r.add(column{name: f.Name, from: fromKeyDecoded, field: f.Name, logical: f.Type})
		case !isKafka(f.Name):
			r.add(column{name: f.Name, from: fromField, field: f.Name, logical: f.Type})
		}
	}
	onLog := r.part == logOnly || r.part == whole && !r.src.hasLake
	if value == nil && onLog {
		r.add(column{name: "value", from: fromPlain, decl: "TEXT"})
	}
	if onLog {
		r.add(column{name: "kafka_value", from: fromRaw, decl: "BLOB"})
	}
	if r.part != rowsOnly {
		r.add(column{name: "kafka_error", from: fromError, decl: "TEXT"})
	}
	return nil
}

// decoders are those of the newest versions; nil where there is none.
func (r *relation) decoders() (key, value schema.Decoder) {
	key, value = r.keyPlain, r.valuePlain
	reg := r.s.engine.cfg.Registry
	if key == nil && r.topic.KeyAs != string(plain.Binary) {
		if p, ok, err := reg.Newest(&r.key); ok && err == nil {
			key = p.Decoder
		}
	}
	if value == nil {
		how := r.value
		if n := r.topic.ValueVersion; n > 0 && r.resolves() {
			how.Latest, how.Versions = false, []int{n}
		}
		if p, ok, err := reg.Newest(&how); ok && err == nil {
			value = p.Decoder
			if r.resolves() {
				r.to, _ = p.Schema.(schema.Resolver)
				r.made = map[schema.Schema]schema.Decoder{}
			}
		}
	}
	return key, value
}

// resolves reports whether values are brought to one version, as in the table.
func (r *relation) resolves() bool {
	return r.part == whole && r.src.hasLake && r.topic.ValueVersion != sink.OwnVersion
}

// columnsOf are a decoder's columns under the names that SQL has for them: a field
// that was renamed since keeps its column.
func (r *relation) columnsOf(d schema.Decoder) *arrow.Schema {
	kept := r.kept[d]
	if kept == nil {
		kept = schema.Keep(r.have, schema.AliasedColumns(d), r.known...)
		r.kept[d] = kept
	}
	return kept
}

// newest are the columns that the newest versions give a table.
func newest(key, value schema.Decoder, extra bool) *arrow.Schema {
	var out []arrow.Field
	if key != nil {
		out = append(out, arrow.Field{Name: nameKeyDecoded, Type: arrow.StructOf(key.Columns().Fields()...)})
	}
	if value != nil {
		for _, f := range schema.AliasedColumns(value).Fields() {
			if extra || f.Name != nameExtra {
				out = append(out, f)
			}
		}
	}
	return arrow.NewSchema(out, nil)
}

func hasField(fields []arrow.Field, name string) bool {
	for _, f := range fields {
		if f.Name == name {
			return true
		}
	}
	return false
}

func isKafka(name string) bool {
	for _, c := range kafkaColumns {
		if c.name == name {
			return true
		}
	}
	return false
}

// add adds a column, under a name that no other has: SQL takes upper and lower case
// for the same. Columns beyond maxColumns are left out.
func (r *relation) add(c column) {
	if len(r.columns) >= maxColumns {
		return
	}
	if c.decl == "" {
		c.decl = declared(c.logical)
	}
	for base, n := c.name, 2; ; n++ {
		taken := false
		for i := range r.columns {
			taken = taken || strings.EqualFold(r.columns[i].name, c.name)
		}
		if !taken {
			break
		}
		c.name = fmt.Sprintf("%s_%d", base, n)
	}
	r.columns = append(r.columns, c)
}

// declBool is the declared type of booleans, which SQLite has as 0 and 1.
const declBool = "BOOLEAN"

// decimalDecl begins the declared type of decimals: DECIMAL(9,2).
const decimalDecl = "DECIMAL("

// isDecimal reports whether a column's values come as numbers or as texts, by their
// digits.
func (c *column) isDecimal() bool { return strings.HasPrefix(c.decl, decimalDecl) }

// declared is the type that a column is declared with; it says how SQLite compares.
func declared(t arrow.DataType) string {
	switch t.ID() {
	case arrow.BOOL:
		return declBool
	case arrow.INT32, arrow.INT64:
		return "INTEGER"
	case arrow.FLOAT32, arrow.FLOAT64:
		return "REAL"
	case arrow.DECIMAL128:
		d := t.(*arrow.Decimal128Type)
		return fmt.Sprintf("%s%d,%d)", decimalDecl, d.Precision, d.Scale) // of affinity NUMERIC
	case arrow.BINARY, arrow.FIXED_SIZE_BINARY, arrow.LARGE_BINARY:
		return "BLOB"
	case arrow.TIMESTAMP:
		if t.(*arrow.TimestampType).TimeZone == "" {
			return declLocal
		}
		return declStamp
	case arrow.DATE32:
		return declDate
	case arrow.TIME32, arrow.TIME64:
		return declTime
	case arrow.STRUCT, arrow.LIST, arrow.MAP:
		return declJSON
	}
	return "TEXT"
}

// Declared types of texts that say more than that they are texts. SQLite takes them for
// TEXT, by the word in them.
const (
	declStamp = "TIMESTAMP TEXT"
	declLocal = "LOCAL TIMESTAMP TEXT" // without a zone
	declDate  = "DATE TEXT"
	declTime  = "TIME TEXT"
	declJSON  = "JSON TEXT"
)

// declaration is what SQLite is told of the table.
func (r *relation) declaration() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE x(")
	for i, c := range r.columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(strings.ReplaceAll(c.name, "\x00", "")) + " " + c.decl)
	}
	b.WriteByte(')')
	return b.String()
}

// Open implements vtab.Table.
func (r *relation) Open() (vtab.Cursor, error) { return &cursor{r: r}, nil }

// Disconnect implements vtab.Table.
func (r *relation) Disconnect() error { return nil }

// Destroy implements vtab.Table.
func (r *relation) Destroy() error { return nil }
