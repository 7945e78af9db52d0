package record

import (
	"bytes"
	"slices"
	"testing"
)

// fuzzLimit keeps one run of a fuzz target short.
const fuzzLimit = 1 << 20

func fuzzBatches(f *testing.F) [][]byte {
	var all [][]byte
	for _, c := range codecs {
		b := NewBuilder(Options{Codec: c, Producer: &Producer{1, 2, 3}})
		b.Append(1000, []byte("key"), []byte("value"), RecordHeader{"h", []byte("x")}, RecordHeader{"n", nil})
		b.Append(1001, nil, nil)
		all = append(all, mustBytes(f, b))
	}
	marker, err := Marker{ProducerID: 1, Commit: true}.Batch()
	if err != nil {
		f.Fatal(err)
	}
	return append(all, marker)
}

// FuzzReader reads any bytes as a batch. What reads to its end must come out the
// same after it was built again, and after it was compressed anew.
func FuzzReader(f *testing.F) {
	for _, b := range fuzzBatches(f) {
		f.Add(b)
	}
	f.Add(rawBatch(2, 5, []byte{0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 10, 1, 1, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Reader
		if r.Reset(b, fuzzLimit) != nil {
			return
		}
		h := r.Header()
		if most := MostUnpacked(b, fuzzLimit); h.Codec() != None && len(r.all) > most {
			t.Fatalf("unpacked to %d bytes, said to be %d at most", len(r.all), most)
		}
		var again Builder
		again.ResetLike(h, None)
		var want []string
		for r.Next() {
			want = append(want, line(r.Record()))
			again.AppendRecord(r.Record())
		}
		if r.Err() != nil {
			return
		}
		if len(want) != int(h.Count) {
			t.Fatalf("%d records, header says %d", len(want), h.Count)
		}
		if got := lines(t, mustBytes(t, &again)); !slices.Equal(got, want) {
			t.Fatalf("built again: got %q, want %q", got, want)
		}
		rebuilt, err := Rebuild(b, Snappy, 0, fuzzLimit)
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(t, rebuilt); !slices.Equal(got, want) {
			t.Fatalf("compressed again: got %q, want %q", got, want)
		}
	})
}

// FuzzSplit must give back the bytes it was given, up to an error.
func FuzzSplit(f *testing.F) {
	f.Add(bytes.Join(fuzzBatches(f), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var joined []byte
		for batch, err := range Split(b) {
			if err != nil {
				break
			}
			if _, err := CheckProduced(batch); err == nil && CheckCRC(batch) != nil {
				t.Fatal("a batch with a wrong checksum passes")
			}
			_, _ = ReadMarker(batch)
			joined = append(joined, batch...)
		}
		if !bytes.HasPrefix(b, joined) {
			t.Fatal("batches are not the bytes in order")
		}
	})
}

// FuzzMessageSet reads any bytes as a message set. What converts must convert
// back to the same records.
func FuzzMessageSet(f *testing.F) {
	inner := slices.Concat(oldMessage(1, 0, 0, 9, []byte("k"), []byte("v")), oldMessage(1, 0, 1, 8, nil, nil))
	f.Add(inner)
	f.Add(oldMessage(0, 0, 3, 0, nil, []byte("v")))
	for _, c := range codecs[1:4] {
		set, err := Compress(nil, inner, c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(oldMessage(1, byte(c), 1, 9, nil, set))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := FromMessageSet(b, fuzzLimit)
		if err != nil {
			return
		}
		want := lines(t, batch)
		set, err := ToMessageSet(batch, 1, testLimit)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readSet(set, 0); err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	})
}

// FuzzDecompress must keep to its limit with every codec.
func FuzzDecompress(f *testing.F) {
	for _, c := range codecs {
		b, err := Compress(nil, bytes.Repeat([]byte("abcd"), 100), c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, int8(c), 1000)
	}
	f.Add(xerial([]byte("one"), []byte("two")), int8(Snappy), 5)
	f.Fuzz(func(t *testing.T, b []byte, c int8, limit int) {
		limit &= fuzzLimit - 1
		got, err := Decompress([]byte("kept"), b, Codec(c), limit)
		if string(got[:4]) != "kept" || len(got) > 4+limit {
			t.Fatalf("%d bytes for a limit of %d, %v", len(got), limit, err)
		}
		if err != nil && len(got) != 4 {
			t.Fatalf("%d bytes beside the error %v", len(got), err)
		}
	})
}
