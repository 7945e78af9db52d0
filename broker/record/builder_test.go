package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
)

// goldenBatch is one idempotent batch laid out by hand after KIP-98, its
// checksum computed bit by bit outside Go.
const goldenBatch = "0000000000000005" + // base offset
	"0000004d" + // length: 49 of the header, 28 of the records
	"00000003" + // leader epoch
	"02" + // magic
	"75eb35ad" + // CRC-32C
	"0010" + // transactional
	"00000001" + // last offset delta
	"000000000000000a" + "000000000000000c" + // base and max timestamp
	"0000000000000063" + "0004" + "00000007" + // producer id, epoch, sequence
	"00000002" + // records
	"1e" + "00" + "00" + "00" + "026b" + "0676616c" + "02" + "0268" + "04abcd" + // 15 bytes
	"16" + "00" + "04" + "02" + "01" + "0a68656c6c6f" + "00" // 11 bytes

func TestBuildGolden(t *testing.T) {
	b := NewBuilder(Options{
		BaseOffset: 5, LeaderEpoch: 3, Transactional: true,
		Producer: &Producer{ID: 99, Epoch: 4, BaseSequence: 7},
	})
	b.Append(10, []byte("k"), []byte("val"), RecordHeader{"h", []byte{0xab, 0xcd}})
	b.Append(12, nil, []byte("hello"))
	batch := mustBytes(t, b)
	if got := hex.EncodeToString(batch); got != goldenBatch {
		t.Errorf("got  %s\nwant %s", got, goldenBatch)
	}
	if b.Size() != len(batch) || b.Len() != 2 {
		t.Errorf("Size %d, Len %d; want %d, 2", b.Size(), b.Len(), len(batch))
	}
}

func TestBuilderRefuses(t *testing.T) {
	b := NewBuilder(Options{})
	b.AppendAt(3, 0, nil, nil)
	b.AppendAt(3, 0, nil, nil)
	if _, err := b.Bytes(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("equal offset deltas: %v", err)
	}
	b.Reset(Options{Codec: 5})
	b.Append(0, nil, nil)
	if _, err := b.Bytes(); !errors.Is(err, ErrCodec) {
		t.Errorf("codec 5: %v", err)
	}
	b.ResetLike(Header{Magic: 2, LastOffsetDelta: 1}, None)
	b.AppendAt(2, 0, nil, nil)
	if _, err := b.Bytes(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("offset above the last: %v", err)
	}
	b.Reset(Options{})
	b.Append(0, nil, nil)
	if _, err := b.Bytes(); err != nil {
		t.Errorf("after Reset: %v", err)
	}
}

func TestZeroBuilder(t *testing.T) {
	var b Builder
	if h, err := ParseHeader(mustBytes(t, &b)); err != nil || h.Count != 0 || h.ProducerID != -1 {
		t.Errorf("empty: %+v, %v", h, err)
	}
	var c Builder
	c.Append(3, nil, []byte("x"))
	if h, err := CheckProduced(mustBytes(t, &c)); err != nil || h.BaseTimestamp != 3 || h.MaxTimestamp != 3 {
		t.Errorf("one record: %+v, %v", h, err)
	}
}

// TestResetLike drops records as compaction does: what names the batch stays.
func TestResetLike(t *testing.T) {
	b := NewBuilder(Options{Codec: Gzip, BaseOffset: 40, Producer: &Producer{ID: 1, Epoch: 2, BaseSequence: 3}})
	for i := range 4 {
		b.Append(int64(100+10*i), []byte{byte('a' + i)}, []byte("v"), RecordHeader{"h", []byte{'0'}})
	}
	old := mustBytes(t, b)
	h, err := ParseHeader(old)
	if err != nil {
		t.Fatal(err)
	}
	for _, keep := range [][]int32{{1, 2}, {0, 3}, {}} {
		var out Builder
		out.ResetLike(h, LZ4)
		var r Reader
		if err := r.Reset(old, testLimit); err != nil {
			t.Fatal(err)
		}
		var want []string
		for r.Next() {
			if slices.Contains(keep, r.Record().OffsetDelta) {
				want = append(want, line(r.Record()))
				out.AppendRecord(r.Record())
			}
		}
		batch := mustBytes(t, &out)
		if got := lines(t, batch); !slices.Equal(got, want) {
			t.Errorf("keep %v: got %q, want %q", keep, got, want)
		}
		got, err := ParseHeader(batch)
		if err != nil {
			t.Fatal(err)
		}
		wantH := h
		wantH.Length, wantH.CRC, wantH.Count = got.Length, got.CRC, int32(len(keep))
		wantH.Attributes = int16(LZ4)
		if len(keep) == 0 {
			wantH.Attributes = 0
		} else {
			wantH.MaxTimestamp = 100 + 10*int64(keep[len(keep)-1])
		}
		if got != wantH {
			t.Errorf("keep %v: header\n got %+v\nwant %+v", keep, got, wantH)
		}
	}
}

func TestRebuild(t *testing.T) {
	b := NewBuilder(Options{Codec: Snappy, BaseOffset: 9, Control: true, Transactional: true, Producer: &Producer{1, 2, -1}})
	b.AppendAt(2, 5, []byte("k"), bytes.Repeat([]byte("v"), 300))
	b.AppendAt(7, 3, nil, nil, RecordHeader{"h", nil})
	batch := mustBytes(t, b)
	want := lines(t, batch)
	h, err := ParseHeader(batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range codecs {
		got, err := Rebuild(batch, c, 0, testLimit)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if err := CheckCRC(got); err != nil {
			t.Errorf("%v: %v", c, err)
		}
		if l := lines(t, got); !slices.Equal(l, want) {
			t.Errorf("%v: got %q, want %q", c, l, want)
		}
		gotH, err := ParseHeader(got)
		if err != nil {
			t.Fatal(err)
		}
		wantH := h
		wantH.Length, wantH.CRC = gotH.Length, gotH.CRC
		wantH.Attributes = h.Attributes&^attrCodec | int16(c)
		if gotH != wantH {
			t.Errorf("%v: header\n got %+v\nwant %+v", c, gotH, wantH)
		}
	}
	if _, err := Rebuild(batch, 6, 0, testLimit); !errors.Is(err, ErrCodec) {
		t.Errorf("codec 6: %v", err)
	}
	if _, err := Rebuild(batch, Gzip, 0, 100); !errors.Is(err, ErrTooLarge) {
		t.Errorf("limit 100: %v", err)
	}
}

func TestCheckProduced(t *testing.T) {
	p := &Producer{ID: 4, Epoch: 0, BaseSequence: 0}
	build := func(o Options, n int) []byte {
		b := NewBuilder(o)
		for range n {
			b.Append(1, nil, nil)
		}
		return mustBytes(t, b)
	}
	good := build(Options{Producer: p, Transactional: true}, 2)
	change := func(b []byte, f func(b []byte)) []byte {
		b = slices.Clone(b)
		f(b)
		reseal(b)
		return b
	}
	flipped := slices.Clone(good)
	flipped[len(flipped)-1] ^= 1
	cases := []struct {
		name  string
		batch []byte
		want  error
	}{
		{"transactional", good, nil},
		{"plain", build(Options{}, 1), nil},
		{"null", nil, ErrCorrupt},
		{"short", good[:30], ErrShort},
		{"cut", good[:len(good)-1], ErrShort},
		{"two batches", slices.Concat(good, good), ErrCorrupt},
		{"magic 1", change(good, func(b []byte) { b[posMagic] = 1 }), ErrMagic},
		{"bit flipped", flipped, ErrCRC},
		{"base offset", build(Options{BaseOffset: 1}, 1), ErrCorrupt},
		{"control", build(Options{Control: true}, 1), ErrCorrupt},
		{"no records", build(Options{}, 0), ErrCorrupt},
		{"sparse", change(good, func(b []byte) { b[posLastOffsetDelta+3] = 2 }), ErrCorrupt},
		{"no sequence", build(Options{Producer: &Producer{4, 0, -1}}, 1), ErrCorrupt},
		{"no epoch", build(Options{Producer: &Producer{4, -1, 0}}, 1), ErrCorrupt},
		{"transactional, no producer", build(Options{Transactional: true}, 1), ErrCorrupt},
		{"delete horizon", change(good, func(b []byte) { b[posAttributes+1] |= attrDeleteHorizon }), ErrCorrupt},
		{"append time", build(Options{AppendTimeMs: 1}, 1), ErrTimestampType},
		{"codec 5", change(good, func(b []byte) { b[posAttributes+1] |= 5 }), ErrCodec},
	}
	for _, c := range cases {
		if _, err := CheckProduced(c.batch); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestDeleteHorizon puts a horizon into a batch: its records keep their times.
func TestDeleteHorizon(t *testing.T) {
	in := NewBuilder(Options{BaseOffset: 7})
	in.Append(100, []byte("a"), nil)
	in.Append(50, []byte("b"), nil)
	batch := mustBytes(t, in)
	var r Reader
	if err := r.Reset(batch, 1000); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Header().DeleteHorizon(); ok {
		t.Error("a new batch has a horizon")
	}
	var out Builder
	out.ResetLike(r.Header(), Gzip)
	out.SetDeleteHorizon(5000)
	for r.Next() {
		out.AppendRecord(r.Record())
	}
	if err := r.Reset(mustBytes(t, &out), 1000); err != nil {
		t.Fatal(err)
	}
	if ms, ok := r.Header().DeleteHorizon(); !ok || ms != 5000 || r.Header().MaxTimestamp != 100 {
		t.Errorf("horizon %d, %t, max %d; want 5000 and 100", ms, ok, r.Header().MaxTimestamp)
	}
	for _, want := range []int64{100, 50} {
		if !r.Next() || r.Record().Timestamp != want {
			t.Errorf("time %d, want %d", r.Record().Timestamp, want)
		}
	}
}

func TestSplit(t *testing.T) {
	var all []byte
	var want [][]byte
	for i := range 3 {
		b := NewBuilder(Options{BaseOffset: int64(i)})
		b.Append(0, nil, make([]byte, i))
		one := mustBytes(t, b)
		want = append(want, one)
		all = append(all, one...)
	}
	var got [][]byte
	for b, err := range Split(all) {
		if err != nil {
			t.Fatal(err)
		}
		if cap(b) != len(b) {
			t.Errorf("capacity %d of a batch of %d", cap(b), len(b))
		}
		got = append(got, b)
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("got %d batches, want %d", len(got), len(want))
	}
	n, last := 0, error(nil)
	for b, err := range Batches(all[:len(all)-1]) {
		if last = err; err == nil {
			if b.Header.BaseOffset != int64(n) {
				t.Errorf("batch %d has base offset %d", n, b.Header.BaseOffset)
			}
			n++
		}
	}
	if n != 2 || !errors.Is(last, ErrShort) {
		t.Errorf("cut: %d batches, then %v; want 2, ErrShort", n, last)
	}
	for range Split(all) {
		break // must not panic
	}
}

func TestMagic(t *testing.T) {
	if m, err := Magic(make([]byte, 17)); m != 0 || err != nil {
		t.Errorf("got %d, %v", m, err)
	}
	if _, err := Magic(make([]byte, 16)); !errors.Is(err, ErrShort) {
		t.Errorf("short: %v", err)
	}
}

func TestLastSequenceWraps(t *testing.T) {
	for _, c := range []struct{ first, last, want int32 }{
		{0, 4, 4}, {1<<31 - 1, 0, 1<<31 - 1}, {1<<31 - 1, 1, 0}, {1<<31 - 3, 4, 1},
	} {
		if got := (Header{BaseSequence: c.first, LastOffsetDelta: c.last}).LastSequence(); got != c.want {
			t.Errorf("LastSequence(%d+%d) = %d, want %d", c.first, c.last, got, c.want)
		}
	}
}
