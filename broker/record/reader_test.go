package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"
)

// testLimit is more than any batch of these tests decompresses to.
const testLimit = 1 << 24

var codecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

// line is a record in a form that tests compare.
func line(r *Record) string {
	s := fmt.Sprintf("%d@%d %s=%s", r.Offset, r.Timestamp, text(r.Key), text(r.Value))
	for k, v := range r.Headers() {
		s += fmt.Sprintf(" %s:%s", k, text(v))
	}
	return s
}

func text(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

// lines reads a whole batch.
func lines(t *testing.T, batch []byte) []string {
	t.Helper()
	var r Reader
	if err := r.Reset(batch, testLimit); err != nil {
		t.Fatalf("Reset: %v", err)
	}
	var got []string
	for r.Next() {
		got = append(got, line(r.Record()))
	}
	if r.Err() != nil {
		t.Fatalf("after %d records: %v", len(got), r.Err())
	}
	return got
}

func mustBytes(t testing.TB, b *Builder) []byte {
	t.Helper()
	batch, err := b.Bytes()
	if err != nil {
		t.Fatalf("Bytes: %v", err)
	}
	return batch
}

// rawBatch puts hand-made record bytes into a batch of count records.
func rawBatch(count, lastDelta int32, records []byte) []byte {
	b := make([]byte, HeaderSize, HeaderSize+len(records))
	b = append(b, records...)
	putHeader(b, Header{
		Magic: 2, Length: int32(len(b) - lengthOverhead), LastOffsetDelta: lastDelta,
		BaseTimestamp: 1000, MaxTimestamp: 1000, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, Count: count,
	})
	reseal(b)
	return b
}

func reseal(b []byte) {
	binary.BigEndian.PutUint32(b[posCRC:], crc32.Checksum(b[posAttributes:], castagnoli))
}

func TestReadBuilt(t *testing.T) {
	for _, c := range codecs {
		b := NewBuilder(Options{Codec: c, BaseOffset: 100, Producer: &Producer{ID: 7, Epoch: 1, BaseSequence: 5}})
		b.Append(1000, []byte("k"), []byte("v"), RecordHeader{"a", []byte("1")}, RecordHeader{"a", nil}, RecordHeader{"", []byte{}})
		b.Append(990, nil, []byte{})
		b.Append(2000, []byte{}, nil)
		batch := mustBytes(t, b)
		want := []string{`100@1000 "k"="v" a:"1" a:null :""`, `101@990 null=""`, `102@2000 ""=null`}
		if got := lines(t, batch); !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", c, got, want)
		}
		if err := CheckCRC(batch); err != nil {
			t.Errorf("%v: %v", c, err)
		}
		h, err := ParseHeader(batch)
		if err != nil {
			t.Fatal(err)
		}
		want2 := Header{
			BaseOffset: 100, Length: int32(len(batch) - 12), Magic: 2, CRC: h.CRC, Attributes: int16(c), LastOffsetDelta: 2,
			BaseTimestamp: 1000, MaxTimestamp: 2000, ProducerID: 7, ProducerEpoch: 1, BaseSequence: 5, Count: 3,
		}
		if h != want2 {
			t.Errorf("%v: header\n got %+v\nwant %+v", c, h, want2)
		}
	}
}

func TestHeaderLast(t *testing.T) {
	b := NewBuilder(Options{})
	b.Append(0, nil, nil, RecordHeader{"id", []byte("1")}, RecordHeader{"x", nil}, RecordHeader{"id", []byte("2")})
	var r Reader
	if err := r.Reset(mustBytes(t, b), 0); err != nil || !r.Next() {
		t.Fatal(err, r.Err())
	}
	for _, c := range []struct {
		name  string
		value []byte
		ok    bool
	}{{"id", []byte("2"), true}, {"x", nil, true}, {"y", nil, false}} {
		if v, ok := r.Record().HeaderLast(c.name); !bytes.Equal(v, c.value) || (v == nil) != (c.value == nil) || ok != c.ok {
			t.Errorf("HeaderLast(%q) = %q, %v; want %q, %v", c.name, v, ok, c.value, c.ok)
		}
	}
	if got := r.Record().HeaderCount; got != 3 {
		t.Errorf("HeaderCount = %d, want 3", got)
	}
}

func TestLogAppendTime(t *testing.T) {
	b := NewBuilder(Options{})
	b.Append(5, nil, []byte("x"))
	batch := mustBytes(t, b)
	SetLogAppendTime(batch, 77)
	if got, want := lines(t, batch), []string{`0@77 null="x"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	b = NewBuilder(Options{AppendTimeMs: 78})
	b.Append(5, nil, []byte("x"))
	if got, want := lines(t, mustBytes(t, b)), []string{`0@78 null="x"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSetMaxTimestamp(t *testing.T) {
	b := NewBuilder(Options{})
	b.Append(5, nil, []byte("x"))
	batch := mustBytes(t, b)
	crc := SetMaxTimestamp(batch, 9)
	h, err := ParseHeader(batch)
	if err != nil || h.MaxTimestamp != 9 || h.CRC != crc {
		t.Errorf("header %+v, %v; want the greatest timestamp 9 and checksum %08x", h, err, crc)
	}
	if err := CheckCRC(batch); err != nil {
		t.Error(err)
	}
	if got, want := lines(t, batch), []string{`0@5 null="x"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHostileRecords gives the Reader record bytes by hand. Zigzag: 0x02 is 1,
// 0x01 is -1.
func TestHostileRecords(t *testing.T) {
	good := []byte{0x0c, 0, 0, 0, 0x01, 0x01, 0} // length 6, no key, no value, no headers
	second := []byte{0x0c, 0, 0, 2, 0x01, 0x01, 0}
	huge := binary.AppendVarint(nil, 1<<40)
	cases := []struct {
		name    string
		count   int32
		last    int32
		records []byte
		ok      bool
	}{
		{"good", 1, 0, good, true},
		{"two", 2, 1, append(slices.Clone(good), second...), true},
		{"gap", 2, 5, slices.Concat(good, []byte{0x0c, 0, 0, 10, 1, 1, 0}), true},
		{"empty after compaction", 0, 5, nil, true},
		{"bytes without records", 0, 0, good, false},
		{"negative count", -1, 0, good, false},
		{"huge count", 1 << 30, 1<<30 - 1, good, false},
		{"count too high", 2, 1, good, false},
		{"count too low", 1, 1, append(slices.Clone(good), second...), false},
		{"trailing bytes", 1, 0, append(slices.Clone(good), 0), false},
		{"same offset twice", 2, 1, append(slices.Clone(good), good...), false},
		{"offset above last", 2, 0, append(slices.Clone(good), second...), false},
		{"negative offset", 1, 0, []byte{0x0c, 0, 0, 1, 1, 1, 0}, false},
		{"negative length", 1, 0, []byte{1, 0, 0, 0, 1, 1, 0}, false},
		{"length past end", 1, 0, []byte{0x0e, 0, 0, 0, 1, 1, 0}, false},
		{"length 2^40", 1, 0, append(huge, good...), false},
		{"zero length", 1, 0, []byte{0, 0, 0, 0, 0, 0, 0}, false},
		{"key length -2", 1, 0, []byte{0x0c, 0, 0, 0, 3, 1, 0}, false},
		{"key past record", 1, 0, []byte{0x0c, 0, 0, 0, 0x20, 1, 0}, false},
		{"value past record", 1, 0, []byte{0x0c, 0, 0, 0, 1, 0x20, 0}, false},
		{"value length overlong", 1, 0, []byte{0x16, 0, 0, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0}, false},
		{"headers missing", 1, 0, []byte{0x0c, 0, 0, 0, 1, 1, 2}, false},
		{"header count negative", 1, 0, []byte{0x0c, 0, 0, 0, 1, 1, 1}, false},
		{"header count huge", 1, 0, []byte{0x14, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f}, false},
		{"bytes after headers", 1, 0, []byte{0x0e, 0, 0, 0, 1, 1, 0, 0}, false},
		{"null header key", 1, 0, []byte{0x10, 0, 0, 0, 1, 1, 2, 1, 1}, false},
		{"one header", 1, 0, []byte{0x10, 0, 0, 0, 1, 1, 2, 0, 1}, true},
		{"timestamp no varint", 1, 0, []byte{0x16, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false},
		{"record ends in its middle", 1, 0, []byte{0x04, 0, 0, 0, 1, 1, 0}, false},
	}
	var r Reader
	for _, c := range cases {
		err := r.Reset(rawBatch(c.count, c.last, c.records), testLimit)
		n := int32(0)
		for r.Next() {
			n++
		}
		if err == nil {
			err = r.Err()
		}
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %d records, error %v, want ok %v", c.name, n, err, c.ok)
		}
		if err == nil && n != c.count {
			t.Errorf("%s: %d records, want %d", c.name, n, c.count)
		}
	}
}

func TestResetErrors(t *testing.T) {
	b := NewBuilder(Options{Codec: Zstd})
	b.Append(0, nil, make([]byte, 1000))
	batch := mustBytes(t, b)
	change := func(pos int, v byte) []byte {
		c := slices.Clone(batch)
		c[pos] = v
		return c
	}
	cases := []struct {
		name  string
		batch []byte
		limit int
		want  error
	}{
		{"good", batch, testLimit, nil},
		{"nothing", nil, testLimit, ErrShort},
		{"cut", batch[:len(batch)-1], testLimit, ErrShort},
		{"two", slices.Concat(batch, batch), testLimit, ErrCorrupt},
		{"magic", change(posMagic, 1), testLimit, ErrMagic},
		{"length", change(posLength, 0x80), testLimit, ErrCorrupt},
		{"codec", change(posAttributes+1, 7), testLimit, ErrCodec},
		{"other codec", change(posAttributes+1, byte(Gzip)), testLimit, ErrCorrupt},
		{"limit", batch, 999, ErrTooLarge},
	}
	var r Reader
	for _, c := range cases {
		if err := r.Reset(c.batch, c.limit); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if got := r.Next(); got != (c.want == nil) {
			t.Errorf("%s: Next = %v", c.name, got)
		}
		if !errors.Is(r.Err(), c.want) {
			t.Errorf("%s: Err = %v, want %v", c.name, r.Err(), c.want)
		}
	}
}

func TestDense(t *testing.T) {
	for _, c := range []struct {
		deltas []int32
		want   bool
	}{{[]int32{0, 1, 2}, true}, {[]int32{0, 2}, false}, {[]int32{1, 2}, false}, {nil, true}} {
		b := NewBuilder(Options{})
		for _, d := range c.deltas {
			b.AppendAt(d, 0, nil, nil)
		}
		var r Reader
		if err := r.Reset(mustBytes(t, b), 0); err != nil {
			t.Fatal(err)
		}
		for r.Next() {
		}
		if r.Err() != nil || r.Dense() != c.want {
			t.Errorf("%v: dense %v (%v), want %v", c.deltas, r.Dense(), r.Err(), c.want)
		}
	}
}

func TestReaderAllocatesNothing(t *testing.T) {
	for _, c := range []Codec{None, Snappy, Zstd} {
		b := NewBuilder(Options{Codec: c})
		for range 100 {
			b.Append(0, []byte("key"), bytes.Repeat([]byte("v"), 100), RecordHeader{"h", []byte("1")})
		}
		batch := mustBytes(t, b)
		var r Reader
		got := testing.AllocsPerRun(20, func() {
			if err := r.Reset(batch, testLimit); err != nil {
				t.Fatal(err)
			}
			for r.Next() {
				if _, ok := r.Record().HeaderLast("h"); !ok {
					t.Fatal("header lost")
				}
			}
		})
		if got > 10 { // a pool may be emptied at any time
			t.Errorf("%v: %.1f allocations for 100 records", c, got)
		}
	}
}

func TestRewind(t *testing.T) {
	b := NewBuilder(Options{Codec: Gzip})
	b.AppendAt(1, 0, nil, []byte("a"))
	b.AppendAt(2, 0, nil, []byte("b"))
	batch := mustBytes(t, b)
	var r Reader
	r.Rewind() // of nothing
	if err := r.Reset(batch, testLimit); err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int{1, 2, 0, 2} { // read so far, then begin again
		for range stop {
			if !r.Next() {
				t.Fatal(r.Err())
			}
		}
		r.Rewind()
		if !r.Dense() {
			t.Error("not dense before the first record")
		}
		if !r.Next() || string(r.Record().Value) != "a" {
			t.Fatalf("after %d: %q, %v", stop, r.Record().Value, r.Err())
		}
		r.Rewind()
	}
	if err := r.Reset(batch[:len(batch)-1], testLimit); err == nil {
		t.Fatal("a cut batch passes")
	}
	if r.Rewind(); r.Next() || !errors.Is(r.Err(), ErrShort) {
		t.Errorf("after a failed Reset: %v", r.Err())
	}
}
