// Package schematest is the suite that every schema language runs: what the
// contract in package schema promises of schemas and decoders, whatever the
// language.
package schematest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema"
)

// Case is a schema with payloads of it.
type Case struct {
	Name   string
	Source schema.Source
	Index  []int // of a Protobuf message
	Good   []Good
	Bad    []Bad
	// Allocates says that decoding allocates by design, as a slow path does.
	Allocates bool
}

// Good is a payload that must be accepted.
type Good struct {
	Payload []byte
	// Row is the row as JSON, as Arrow writes it; "" is not compared.
	Row string
}

// Bad is a payload that must be refused.
type Bad struct {
	Payload []byte
	// Path is where the error must point; "" is not compared.
	Path string
}

// maxSpoiled bounds how many bytes of each payload are cut and changed, so that
// a long payload does not make the suite slow.
const maxSpoiled = 256

// maxGarbageBytes bounds what one small hostile payload may allocate. Columns
// grow in steps, so it is far above the payload and far below what hurts.
const maxGarbageBytes = 64 << 20

// Run checks the contract for all cases. parse is the language's Parse.
func Run(t *testing.T, parse func(schema.Source) (schema.Schema, error), cases []Case) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			s, err := parse(c.Source)
			if err != nil {
				t.Fatal(err)
			}
			d, err := s.Decoder(c.Index)
			if err != nil {
				t.Fatal(err)
			}
			u := &suite{c: c, d: d}
			t.Run("schema", func(t *testing.T) { checkSchema(t, parse, c, s, d) })
			t.Run("values", u.values)
			t.Run("refusals", u.refusals)
			t.Run("spoiled", u.spoiled)
			t.Run("some", u.some)
			t.Run("garbage", u.garbage)
			t.Run("concurrency", u.concurrency)
			t.Run("allocations", u.allocations)
		})
	}
}

func checkSchema(t *testing.T, parse func(schema.Source) (schema.Schema, error), c Case, s schema.Schema, d schema.Decoder) {
	if c.Source.Type != "" && s.Type() != c.Source.Type {
		t.Errorf("Type() = %s, want %s", s.Type(), c.Source.Type)
	}
	for name, text := range map[string]string{"Canonical": s.Canonical(), "Normalized": s.Normalized()} {
		src := c.Source
		src.Text, src.Lax = text, true
		again, err := parse(src)
		if err != nil {
			t.Errorf("%s() does not parse: %v\n%s", name, err, text)
			continue
		}
		if got := map[string]string{"Canonical": again.Canonical(), "Normalized": again.Normalized()}[name]; got != text {
			t.Errorf("%s() parsed again is\n%s\nwas\n%s", name, got, text)
		}
		if other, err := again.Decoder(c.Index); err != nil || name == "Canonical" && !other.Columns().Equal(d.Columns()) {
			t.Errorf("%s() parsed again has other columns: %v", name, err)
		}
	}
	if list := s.Reads(s); len(list) > 0 {
		t.Errorf("a schema cannot read its own data: %v", list)
	}
	if again, err := s.Decoder(c.Index); err != nil || again != d {
		t.Errorf("Decoder() gives another decoder the second time, %v", err)
	}
	if err := schema.CheckColumns(d.Columns()); err != nil {
		t.Error(err)
	}
	v, err := s.Validator(c.Index)
	if err != nil {
		t.Fatalf("Validator(): %v", err)
	}
	for i, g := range c.Good {
		if err := v.Validate(g.Payload); err != nil {
			t.Errorf("the validator refuses good payload %d: %v", i, err)
		}
	}
	for i, b := range c.Bad {
		if want, got := d.Validate(b.Payload), v.Validate(b.Payload); got == nil || got.Error() != want.Error() {
			t.Errorf("the validator says %v of bad payload %d, the decoder %v", got, i, want)
		}
	}
}

type suite struct {
	c Case
	d schema.Decoder
}

func (u *suite) rows(t testing.TB) *schema.Rows {
	t.Helper()
	r, err := schema.NewRows(u.d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// values decodes the good payloads, each overwritten afterwards.
func (u *suite) values(t *testing.T) {
	r := u.rows(t)
	for i, g := range u.c.Good {
		p := slices.Clone(g.Payload)
		if err := u.d.Validate(p); err != nil {
			t.Fatalf("payload %d: Validate: %v", i, err)
		}
		if err := u.d.Decode(p, r); err != nil {
			t.Fatalf("payload %d: Decode: %v", i, err)
		}
		for k := range p {
			p[k] = 0xee
		}
		if r.Len() != i+1 {
			t.Fatalf("payload %d: %d rows", i, r.Len())
		}
	}
	rows := rowsJSON(t, r.Batch())
	for i, g := range u.c.Good {
		if g.Row != "" && !sameJSON(rows[i], g.Row) {
			t.Errorf("payload %d:\ngot  %s\nwant %s", i, rows[i], g.Row)
		}
	}
}

// rowsJSON is each row as JSON.
func rowsJSON(t testing.TB, b arrow.RecordBatch) []string {
	t.Helper()
	checkArrays(t, b)
	text, err := array.RecordToStructArray(b).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		out = append(out, string(r))
	}
	return out
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

func checkArrays(t testing.TB, b arrow.RecordBatch) {
	t.Helper()
	for i, c := range b.Columns() {
		if err := array.ValidateFull(c); err != nil {
			t.Errorf("column %s: %v", b.ColumnName(i), err)
		}
	}
}

// refusals puts every bad payload between good ones: the rows must be as if
// only the good ones had come.
func (u *suite) refusals(t *testing.T) {
	r, clean := u.rows(t), u.rows(t)
	good := func() {
		for _, g := range u.c.Good {
			if err := errors.Join(u.d.Decode(g.Payload, r), u.d.Decode(g.Payload, clean)); err != nil {
				t.Fatal(err)
			}
		}
	}
	good()
	for i, b := range u.c.Bad {
		bad, err := u.refused(b.Payload, r)
		if err != nil {
			t.Errorf("payload %d: %v", i, err)
		}
		if bad == nil {
			t.Errorf("payload %d was accepted", i)
			continue
		}
		if b.Path != "" && bad.Path != b.Path {
			t.Errorf("payload %d: %v, want path %s", i, bad, b.Path)
		}
		good()
	}
	if !array.RecordEqual(r.Batch(), clean.Batch()) {
		t.Error("refused payloads left something in the rows")
	}
}

// refused decodes a payload that may be bad and checks what must hold anyway:
// Validate and Decode agree, and a refusal leaves the rows alone.
func (u *suite) refused(p []byte, r *schema.Rows) (*schema.Invalid, error) {
	n, size := r.Len(), r.Bytes()
	valid, err := u.d.Validate(p), u.d.Decode(p, r)
	if (valid == nil) != (err == nil) {
		return nil, fmt.Errorf("%x: Validate says %w, Decode %w", p, valid, err)
	}
	if err == nil {
		if r.Len() != n+1 {
			return nil, fmt.Errorf("%x: accepted, but %d rows became %d", p, n, r.Len())
		}
		return nil, nil
	}
	bad, ok := errors.AsType[*schema.Invalid](err)
	if !ok {
		return nil, fmt.Errorf("%x: %w is no *Invalid", p, err)
	}
	if _, ok := errors.AsType[*schema.Invalid](valid); !ok {
		return bad, fmt.Errorf("%x: Validate's %w is no *Invalid", p, valid)
	}
	if bad.Path == "" || bad.Path[0] != '$' || bad.Expected == "" || bad.Found == "" || bad.Pos > len(p) {
		return bad, fmt.Errorf("%x: %+v says too little", p, *bad)
	}
	if len(bad.Error()) > 4096 {
		return bad, fmt.Errorf("an error of %d bytes repeats too much", len(bad.Error()))
	}
	// A first null makes a bitmap, which stays: a bit a value.
	if r.Len() != n || r.Bytes() > size+size/8+int64(u.d.Columns().NumFields())*8+64 {
		return bad, fmt.Errorf("%x: %d rows of %d bytes became %d of %d", p, n, size, r.Len(), r.Bytes())
	}
	return bad, nil
}

// spoiled cuts the good payloads everywhere and changes their bytes.
func (u *suite) spoiled(t *testing.T) {
	r := u.rows(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, g := range u.c.Good {
		for i := range min(len(g.Payload), maxSpoiled) {
			if _, err := u.refused(g.Payload[:i], r); err != nil {
				t.Fatal(err)
			}
			p := slices.Clone(g.Payload)
			for _, c := range []byte{0, 1, 0x7f, 0x80, 0xff, '"', byte(rnd.Uint32())} {
				p[i] = c
				if _, err := u.refused(p, r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	checkArrays(t, r.Batch())
}

// garbage feeds bytes that no writer made, whatever the language, and watches
// how much memory they take.
func (u *suite) garbage(t *testing.T) {
	list := [][]byte{nil, {}, {0}, {0xff}}
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 2, 5, 10, 100, 10_000} {
		for _, c := range []byte{0, 1, 2, 0x0a, 0x12, 0x7f, 0x80, 0xfe, 0xff, '[', '{', '"', '9', ' '} {
			p := make([]byte, n)
			for i := range p {
				p[i] = c
			}
			list = append(list, p)
		}
		for range 20 {
			p := make([]byte, n)
			for i := range p {
				p[i] = byte(rnd.Uint32())
			}
			list = append(list, p)
		}
	}
	huge := []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01} // the largest varint
	for _, g := range u.c.Good {
		for i := range min(len(g.Payload), maxSpoiled) {
			list = append(list, slices.Concat(g.Payload[:i], huge), slices.Concat(g.Payload[:i], huge, g.Payload[i:]))
		}
	}
	for _, p := range list {
		r := u.rows(t)
		before := allocated()
		if _, err := u.refused(p, r); err != nil {
			t.Fatal(err)
		}
		if n := allocated() - before; n > maxGarbageBytes {
			t.Errorf("%d bytes of payload allocate %d bytes", len(p), n)
		}
		checkArrays(t, r.Batch())
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// concurrency shares the decoder between goroutines, each with its own rows.
func (u *suite) concurrency(t *testing.T) {
	const workers, rounds = 4, 50
	batches := make([]arrow.RecordBatch, workers)
	var wg sync.WaitGroup
	for i := range workers {
		r := u.rows(t)
		wg.Go(func() {
			for range rounds {
				for _, g := range u.c.Good {
					if err := u.d.Decode(g.Payload, r); err != nil {
						t.Error(err)
					}
				}
				for _, b := range u.c.Bad {
					if u.d.Decode(b.Payload, r) == nil {
						t.Error("a bad payload was accepted")
					}
				}
			}
			batches[i] = r.Batch()
		})
	}
	wg.Wait()
	for i := range workers {
		if !array.RecordEqual(batches[0], batches[i]) {
			t.Errorf("worker %d decoded something else than worker 0", i)
		}
	}
}

// allocations holds a warmed-up decoder to allocating nothing.
func (u *suite) allocations(t *testing.T) {
	if raced || u.c.Allocates || len(u.c.Good) == 0 {
		return
	}
	const warm = 2000
	r := u.rows(t)
	round := func() {
		for _, g := range u.c.Good {
			if err := errors.Join(u.d.Validate(g.Payload), u.d.Decode(g.Payload, r)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range warm {
		round()
	}
	r.Batch()
	round()
	// The last batch told how much to expect: the next may grow to that freely.
	if n := testing.AllocsPerRun(warm/4, round); n != 0 {
		t.Errorf("%v allocations per round of %d payloads, want 0", n, len(u.c.Good))
	}
}
