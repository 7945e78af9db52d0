// Package debezium makes rows of the changes that Debezium's connectors write: an
// envelope with the row before and after, where the change comes from, and what it
// is. Decoder takes it apart for values with a schema of any language, JSON for
// values without one.
//
// The form is that of Debezium's documentation, "Data change events" of each
// connector: fields before, after, source, op, ts_ms and transaction; op is c
// (create), u (update), d (delete), r (read, of a snapshot), t (truncate) or m
// (message, which is no change of a row).
package debezium

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// Columns about a change that stand in front of the row's own. Names that begin
// with kafka_ are the table's, so no column of a source has them.
const (
	OpColumn          = "kafka_cdc_op"          // c, u, d, r or t
	TimeColumn        = "kafka_cdc_timestamp"   // of the change in the source
	PositionColumn    = "kafka_cdc_position"    // in the source's log, as the source prints it
	TableColumn       = "kafka_cdc_table"       // db.schema.table, as far as the source has them
	TransactionColumn = "kafka_cdc_transaction" // id
)

// What a change is.
const (
	Create   = "c"
	Update   = "u"
	Delete   = "d"
	Read     = "r"
	Truncate = "t"
)

// Places of the columns about a change.
const (
	colOp = iota
	colTime
	colPosition
	colTable
	colTransaction
	changeColumns // how many there are
)

// changeFields are the columns about a change.
func changeFields() []arrow.Field {
	text := arrow.BinaryTypes.String
	return []arrow.Field{
		{Name: OpColumn, Type: text},
		{Name: TimeColumn, Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
		{Name: PositionColumn, Type: text, Nullable: true},
		{Name: TableColumn, Type: text, Nullable: true},
		{Name: TransactionColumn, Type: text, Nullable: true},
	}
}

// NotEnvelope says why a schema is none of Debezium's envelopes.
type NotEnvelope struct{ Reason string }

// Error says it in one sentence.
func (e *NotEnvelope) Error() string {
	return "this is no change envelope of Debezium: " + e.Reason
}

// Columns are the columns of the rows that envelopes with these columns become:
// those about the change, then those of after, which may all be null, since a
// change need not come with a row. The error is a *NotEnvelope, or says that the
// row has no table form.
func Columns(envelope *arrow.Schema) (*arrow.Schema, error) {
	p, err := newPlan(envelope)
	if err != nil {
		return nil, err
	}
	return p.columns(envelope)
}

// plan says where things are in an envelope. -1 stands for what is not there.
type plan struct {
	op, before, after, extra int
	// beforeAt are the places in before of the fields of after.
	beforeAt []int
	// micros and millis are when the source was changed, and position, table and
	// transaction are made of the texts there.
	micros, millis     []int
	position           [][]int // between colons
	table, transaction [][]int // between dots
}

// nameExtra is the column of members of open JSON objects that no schema names.
const nameExtra = "kafka_extra"

func newPlan(s *arrow.Schema) (*plan, error) {
	refuse := func(format string, args ...any) (*plan, error) {
		return nil, &NotEnvelope{fmt.Sprintf(format, args...)}
	}
	p := &plan{op: find(s.Fields(), "op"), before: find(s.Fields(), "before"), after: find(s.Fields(), "after"), extra: find(s.Fields(), nameExtra)}
	switch {
	case p.op < 0 && p.after < 0:
		return refuse("it has neither a field op nor a field after; values that are flattened already, as by ExtractNewRecordState, need no tarn.table.unwrap")
	case p.op < 0:
		return refuse("it has no field op")
	case p.after < 0:
		return refuse("it has no field after")
	case s.Field(p.op).Type.ID() != arrow.STRING:
		return refuse("its field op is %s, not text", schema.TypeWord(s.Field(p.op).Type))
	}
	after, ok := s.Field(p.after).Type.(*arrow.StructType)
	if !ok {
		return refuse("its field after is %s, not a record; documents as text, as of MongoDB, have no columns", schema.TypeWord(s.Field(p.after).Type))
	}
	p.beforeAt = make([]int, after.NumFields())
	for i := range p.beforeAt {
		p.beforeAt[i] = -1
	}
	if p.before >= 0 {
		before, ok := s.Field(p.before).Type.(*arrow.StructType)
		if !ok {
			return refuse("its field before is %s, not a record", schema.TypeWord(s.Field(p.before).Type))
		}
		for i, f := range after.Fields() {
			at := find(before.Fields(), f.Name)
			if at >= 0 && !arrow.TypeEqual(before.Field(at).Type, f.Type) {
				return refuse("field %s is %s in before and %s in after", f.Name, schema.TypeWord(before.Field(at).Type), schema.TypeWord(f.Type))
			}
			p.beforeAt[i] = at
		}
	}
	p.findSource(s)
	return p, nil
}

// findSource finds what is said of a change's origin. Connectors say it each in
// their own way: PostgreSQL has lsn, MySQL and MariaDB file and pos, SQL Server and
// Db2 change_lsn, Oracle scn, Vitess vgtid.
func (p *plan) findSource(s *arrow.Schema) {
	at := func(isKind func(arrow.DataType) bool, names ...string) []int {
		var path []int
		fields := s.Fields()
		for i, name := range names {
			n := find(fields, name)
			if n < 0 {
				return nil
			}
			path = append(path, n)
			if i == len(names)-1 {
				if !isKind(fields[n].Type) {
					return nil
				}
				return path
			}
			st, ok := fields[n].Type.(*arrow.StructType)
			if !ok {
				return nil
			}
			fields = st.Fields()
		}
		return nil
	}
	some := func(paths ...[]int) [][]int {
		return slices.DeleteFunc(paths, func(path []int) bool { return path == nil })
	}
	p.micros, p.millis = at(isLong, "source", "ts_us"), at(isLong, "source", "ts_ms")
	p.table = some(at(isText, "source", "db"), at(isText, "source", "schema"), at(isText, "source", "table"), at(isText, "source", "collection"))
	for _, names := range [][]string{{"lsn"}, {"file", "pos", "row"}, {"change_lsn"}, {"commit_lsn"}, {"scn"}, {"vgtid"}} {
		for _, name := range names {
			p.position = append(p.position, some(at(isWord, "source", name))...)
		}
		if len(p.position) > 0 {
			break
		}
	}
	p.transaction = append(p.transaction, some(at(isWord, "transaction", "id"), at(isWord, "source", "txId"), at(isWord, "source", "gtid"))...)
}

func isLong(t arrow.DataType) bool { return t.ID() == arrow.INT64 }
func isText(t arrow.DataType) bool { return t.ID() == arrow.STRING }
func isWord(t arrow.DataType) bool {
	return t.ID() == arrow.INT64 || t.ID() == arrow.INT32 || t.ID() == arrow.STRING
}

// columns are those of the rows.
func (p *plan) columns(s *arrow.Schema) (*arrow.Schema, error) {
	fields := changeFields()
	after, _ := s.Field(p.after).Type.(*arrow.StructType)
	for _, f := range after.Fields() {
		f.Name, f.Nullable = schema.ColumnName(f.Name), true
		fields = append(fields, f)
	}
	if p.extra >= 0 {
		fields = append(fields, s.Field(p.extra))
	}
	out := arrow.NewSchema(fields, nil)
	if err := schema.CheckColumns(out); err != nil {
		return nil, fmt.Errorf("the row in the envelope has no table form: %w", err)
	}
	return out, nil
}

// find is the place of a field, -1 if there is none of the name.
func find(fields []arrow.Field, name string) int {
	return slices.IndexFunc(fields, func(f arrow.Field) bool { return f.Name == name })
}
