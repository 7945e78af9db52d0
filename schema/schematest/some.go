package schematest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema"
)

// some decodes payloads, good, bad and cut, into rows of some of the columns: what is
// refused must be refused in the same words, and the columns must be those of all.
func (u *suite) some(t *testing.T) {
	columns := u.d.Columns()
	for _, wanted := range []func(i int) bool{
		func(int) bool { return false },
		func(i int) bool { return i%2 == 0 },
		func(i int) bool { return i%2 == 1 },
		func(i int) bool { return i == columns.NumFields()-1 },
	} {
		all := u.rows(t)
		some, err := schema.NewSomeRows(columns, wanted)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range u.payloads() {
			want, got := u.d.Decode(p, all), u.d.Decode(p, some)
			if (want == nil) != (got == nil) || want != nil && want.Error() != got.Error() {
				t.Fatalf("%x: with some columns %v, with all %v", p, got, want)
			}
		}
		n := all.Len()
		if some.Len() != n {
			t.Fatalf("%d rows of some columns, %d of all", some.Len(), n)
		}
		got := some.Batch()
		checkArrays(t, got)
		if want := chosen(all.Batch(), wanted); !array.RecordEqual(got, want) {
			t.Fatalf("some columns: %v\nof all: %v", got, want)
		}
	}
}

// payloads are those of the case, and good ones cut or with a byte changed.
func (u *suite) payloads() [][]byte {
	var out [][]byte
	for _, b := range u.c.Bad {
		out = append(out, b.Payload)
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, g := range u.c.Good {
		out = append(out, g.Payload)
		for i := range min(len(g.Payload), maxSpoiled) {
			p := slices.Clone(g.Payload)
			p[i] = byte(rnd.Uint32())
			out = append(out, g.Payload[:i], p, g.Payload)
		}
	}
	return out
}

// chosen are some of a batch's columns.
func chosen(b arrow.RecordBatch, wanted func(i int) bool) arrow.RecordBatch {
	var fields []arrow.Field
	var columns []arrow.Array
	for i, f := range b.Schema().Fields() {
		if wanted(i) {
			fields, columns = append(fields, f), append(columns, b.Column(i))
		}
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, b.NumRows())
}
