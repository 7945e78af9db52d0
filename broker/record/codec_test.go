package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// samples are bytes of several sizes and densities.
func samples() [][]byte {
	rng := rand.New(rand.NewPCG(1, 1))
	var all [][]byte
	for _, size := range []int{1, 100, 65535, 65536, 65537, 1 << 20} {
		random := make([]byte, size)
		for i := range random {
			random[i] = byte(rng.Uint32())
		}
		all = append(all, random, make([]byte, size), bytes.Repeat([]byte("offset=1 "), size/9+1))
	}
	return all
}

func TestCodecsRoundTrip(t *testing.T) {
	for _, c := range codecs {
		for _, want := range append(samples(), nil) {
			packed, err := Compress([]byte("before"), want, c)
			if err != nil || string(packed[:6]) != "before" {
				t.Fatalf("%v: %v", c, err)
			}
			got, err := Decompress([]byte("kept"), packed[6:], c, len(want))
			if err != nil || string(got[:4]) != "kept" || !bytes.Equal(got[4:], want) {
				t.Errorf("%v, %d bytes: got %d, %v", c, len(want), len(got)-4, err)
			}
			if len(want) == 0 {
				continue
			}
			if _, err := Decompress(nil, packed[6:], c, len(want)-1); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%v, %d bytes, one less allowed: %v", c, len(want), err)
			}
		}
	}
}

// TestLevels packs the same at all levels: any can be read, and those that work
// harder give less.
func TestLevels(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var want []byte
	for range 4000 {
		want = fmt.Appendf(want, "order %d of customer %d: %d items; ", rng.IntN(1000), rng.IntN(50), rng.IntN(9))
	}
	size := func(c Codec, l Level) int {
		packed, err := CompressLevel(nil, want, c, l)
		if err != nil {
			t.Fatalf("%v at %d: %v", c, l, err)
		}
		got, err := Decompress(nil, packed, c, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v at %d: got %d bytes, %v", c, l, len(got), err)
		}
		return len(packed)
	}
	for _, c := range codecs {
		for l := Level(-1); l <= 23; l++ {
			size(c, l)
		}
	}
	for _, pair := range []struct {
		c          Codec
		easy, hard Level
	}{{Gzip, 1, 9}, {LZ4, 9, 17}, {LZ4, 1, 8}, {Zstd, 1, 22}, {Zstd, -100, 3}} {
		if easy, hard := size(pair.c, pair.easy), size(pair.c, pair.hard); easy <= hard {
			t.Errorf("%v: %d bytes at %d, %d at %d", pair.c, easy, pair.easy, hard, pair.hard)
		}
	}
	for c, l := range map[Codec]Level{Gzip: -1, LZ4: 9, Zstd: 3} {
		if got, def := size(c, l), size(c, 0); got != def {
			t.Errorf("%v: %d bytes at %d, which is the default: %d", c, got, l, def)
		}
	}
}

// TestCodecsAgainstClient exchanges bytes with franz-go's codecs both ways.
func TestCodecsAgainstClient(t *testing.T) {
	theirs := map[Codec]kgo.CompressionCodec{
		Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(), LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression(),
	}
	un := kgo.DefaultDecompressor()
	for c, codec := range theirs {
		comp, err := kgo.DefaultCompressor(codec)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range samples() {
			packed, kind := comp.Compress(new(bytes.Buffer), want)
			if kind != kgo.CompressionCodecType(c) {
				continue // franz-go sends what does not shrink as it is
			}
			got, err := Decompress(nil, packed, c, len(want))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v from client, %d bytes: got %d, %v", c, len(want), len(got), err)
			}
			ours, err := Compress(nil, want, c)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := un.Decompress(ours, kgo.CompressionCodecType(c)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v to client, %d bytes: got %d, %v", c, len(want), len(got), err)
			}
		}
	}
}

// xerial frames blocks as snappy-java does.
func xerial(blocks ...[]byte) []byte {
	b := []byte(xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01")
	for _, block := range blocks {
		packed := s2.EncodeSnappy(nil, block)
		b = binary.BigEndian.AppendUint32(b, uint32(len(packed)))
		b = append(b, packed...)
	}
	return b
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func lz4Frame(t *testing.T, b []byte, o ...lz4.Option) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := lz4.NewWriter(&buf)
	if err := w.Apply(o...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestFramings(t *testing.T) {
	a, b := []byte("first block "), []byte("second")
	both := slices.Concat(a, b)
	frame := lz4Frame(t, both)
	cases := []struct {
		name string
		c    Codec
		src  []byte
		want []byte
		err  error
	}{
		{"xerial", Snappy, xerial(a, b), both, nil},
		{"xerial of nothing", Snappy, xerial(), []byte{}, nil},
		{"two xerial streams", Snappy, slices.Concat(xerial(a), xerial(b)), both, nil},
		{"xerial cut in a block", Snappy, xerial(a, b)[:40], nil, ErrCorrupt},
		{"xerial cut in a length", Snappy, xerial(a)[:18], nil, ErrCorrupt},
		{"bare snappy", Snappy, s2.EncodeSnappy(nil, both), both, nil},
		{"snappy claims 4 GiB", Snappy, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}, nil, ErrCorrupt},
		{"no snappy", Snappy, nil, nil, ErrCorrupt},
		{"two gzip members", Gzip, slices.Concat(gzipped(t, a), gzipped(t, b)), both, nil},
		{"gzip cut", Gzip, gzipped(t, both)[:15], nil, ErrCorrupt},
		{"gzip and garbage", Gzip, append(gzipped(t, both), "garbage"...), nil, ErrCorrupt},
		{"no gzip", Gzip, nil, nil, ErrCorrupt},
		{"lz4", LZ4, frame, both, nil},
		{"lz4 with size and sums", LZ4, lz4Frame(t, both, lz4.SizeOption(uint64(len(both))), lz4.BlockChecksumOption(true)), both, nil},
		{"lz4 cut", LZ4, frame[:len(frame)-1], nil, ErrCorrupt},
		{"lz4 and garbage", LZ4, append(slices.Clone(frame), 0), nil, ErrCorrupt},
		{"two lz4 frames", LZ4, slices.Concat(frame, frame), nil, ErrCorrupt},
		{"legacy lz4", LZ4, lz4Frame(t, both, lz4.LegacyOption(true)), nil, ErrCorrupt},
		{"no lz4", LZ4, nil, nil, ErrCorrupt},
		{"two zstd frames", Zstd, slices.Concat(zstdFrame(t, a), zstdFrame(t, b)), both, nil},
		{"zstd cut", Zstd, zstdFrame(t, both)[:12], nil, ErrCorrupt},
		{"zstd with a window of 1 GiB", Zstd, []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0xa0, 1, 0, 0}, nil, ErrCorrupt},
		{"codec 5", 5, both, nil, ErrCodec},
	}
	for _, c := range cases {
		got, err := Decompress(nil, c.src, c.c, testLimit)
		if !errors.Is(err, c.err) || !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v; want %q, %v", c.name, got, err, c.want, c.err)
		}
	}
}

func zstdFrame(t *testing.T, b []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(b, nil)
}

// TestBombs decompresses 64 MiB of zeros with room for 1 MiB: all codecs must
// stop there, and memory must stay near it.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 64<<20)
	var streamed bytes.Buffer // a frame without its size in front
	e, err := zstd.NewWriter(&streamed, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(zeros); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	million := slices.Repeat([][]byte{zeros[:1<<20]}, 64)
	bombs := map[string]struct {
		c   Codec
		src []byte
	}{
		"gzip": {Gzip, gzipped(t, zeros)}, "snappy": {Snappy, s2.EncodeSnappy(nil, zeros)},
		"xerial": {Snappy, xerial(million...)}, "lz4": {LZ4, lz4Frame(t, zeros)},
		"zstd": {Zstd, zstdFrame(t, zeros)}, "zstd stream": {Zstd, streamed.Bytes()},
	}
	const limit = 1<<20 + 100
	for name, bomb := range bombs {
		if _, err := Decompress(nil, bomb.src, bomb.c, limit); !errors.Is(err, ErrTooLarge) { // fills pools
			t.Errorf("%s: %v, want ErrTooLarge", name, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const times = 5
		for range times {
			if _, err := Decompress(nil, bomb.src, bomb.c, limit); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: %v, want ErrTooLarge", name, err)
			}
		}
		runtime.ReadMemStats(&after)
		// lz4 may allocate two blocks of 4 MiB if its pool was emptied.
		if got := (after.TotalAlloc - before.TotalAlloc) / times; got > 12<<20 {
			t.Errorf("%s: %d bytes allocated for a limit of %d", name, got, limit)
		}
	}
}

// TestMeasured unpacks more than is read at a go, and less than there is.
func TestMeasured(t *testing.T) {
	zeros := make([]byte, 40<<20)
	for name, bomb := range map[string]struct {
		c   Codec
		src []byte
	}{
		"gzip": {Gzip, gzipped(t, zeros)}, "lz4": {LZ4, lz4Frame(t, zeros)},
	} {
		for _, c := range []struct {
			limit int
			want  error
			most  uint64 // allocated: the result, what grew before, and for each of two readings two blocks of lz4 with their reader (a pool may forget them)
		}{
			{len(zeros), nil, 40<<20 + 4*measureFrom + 24<<20},
			{len(zeros) - 1, ErrTooLarge, 4*measureFrom + 24<<20},
			{len(zeros) + 1, nil, 40<<20 + 4*measureFrom + 24<<20},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := Decompress([]byte("head"), bomb.src, bomb.c, c.limit)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, c.want) || err == nil && (len(got) != 4+len(zeros) || !bytes.HasPrefix(got, []byte("head\x00"))) {
				t.Errorf("%s, limit %d: %d bytes, %v", name, c.limit, len(got), err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > c.most {
				t.Errorf("%s, limit %d: %d bytes allocated, want %d at most", name, c.limit, n, c.most)
			}
		}
	}
	cut := gzipped(t, zeros)
	cut = cut[:len(cut)-9]
	if _, err := Decompress(nil, cut, Gzip, len(zeros)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("cut in what is measured: %v", err)
	}
}

// TestSmallBlocks reads a zstd frame that was flushed after each record: by its
// blocks it could hold 128 MiB, and it holds 10 kB.
func TestSmallBlocks(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i := range 1000 {
		record := fmt.Appendf(nil, "record %d, and again %d;", i, i)
		want = append(want, record...)
		if _, err := w.Write(record); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if most, err := zstdBound(b.Bytes()); err != nil || most < 1<<20 {
		t.Fatalf("bound %d, %v: this test needs blocks that may hold more", most, err)
	}
	got, err := Decompress(nil, b.Bytes(), Zstd, len(want))
	if err != nil || !bytes.Equal(got, want) || cap(got) > 2*len(want) {
		t.Errorf("%d bytes in %d, %v", len(got), cap(got), err)
	}
	if _, err := Decompress(nil, b.Bytes(), Zstd, len(want)-1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a byte less: %v", err)
	}
}

// TestMostUnpacked packs what packs best, and holds the result to what is said of it.
func TestMostUnpacked(t *testing.T) {
	zeros := make([]byte, 4<<20)
	for _, c := range []Codec{None, Gzip, Snappy, LZ4, Zstd} {
		b := NewBuilder(Options{Codec: c})
		b.Append(1, nil, zeros)
		batch, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got := MostUnpacked(batch, 64<<20)
		switch least := len(zeros); {
		case c == None && got != 0:
			t.Errorf("nothing to unpack: got %d", got)
		case c != None && (got < least || got > 64<<20):
			t.Errorf("%s: %d bytes may become %d, and are %d", c, len(batch), got, least)
		}
		if got := MostUnpacked(batch, 1000); c != None && got != 1000 {
			t.Errorf("%s: got %d, the limit is 1000", c, got)
		}
	}
	if got := MostUnpacked(make([]byte, 100), 1<<20); got != 100*maxGzipRatio {
		t.Errorf("a message set: got %d", got)
	}
}

func TestCodecNames(t *testing.T) {
	for _, c := range codecs {
		if got, err := ParseCodec(c.String()); got != c || err != nil {
			t.Errorf("ParseCodec(%q) = %v, %v", c.String(), got, err)
		}
	}
	if c, err := ParseCodec("none"); c != None || err != nil {
		t.Errorf("none: %v, %v", c, err)
	}
	for _, s := range []string{"", "producer", "ZSTD", "codec(5)"} {
		if c, err := ParseCodec(s); !errors.Is(err, ErrCodec) {
			t.Errorf("%q: %v, %v", s, c, err)
		}
	}
	if got := Codec(6).String(); got != "codec(6)" {
		t.Errorf("got %q", got)
	}
}

func TestXXH32(t *testing.T) {
	for text, want := range map[string]uint32{
		"": 0x02cc5d05, "a": 0x550d7456, "abc": 0x32d153ff, "Nobody inspects the spammish repetition": 0xe2293b2f,
	} {
		if got := xxh32([]byte(text)); got != want {
			t.Errorf("%q: got %08x, want %08x", text, got, want)
		}
	}
}

func TestPlainSnappy(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, b := range samples() {
		if packed := s2.EncodeSnappy(nil, b); !plainSnappy(packed) {
			t.Errorf("snappy of %d bytes is not plain", len(b))
		}
	}
	random := make([]byte, 5000)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	long := slices.Concat(random, make([]byte, 1000), random) // repeats longer than a copy
	packed := s2.Encode(nil, long)
	if plainSnappy(packed) {
		t.Error("s2 extensions pass")
	}
	for _, body := range [][]byte{packed, binary.BigEndian.AppendUint32(xerial(), uint32(len(packed)))} {
		if len(body) < len(packed) {
			body = append(body, packed...)
		}
		batch := rawBatch(1, 0, body)
		batch[posAttributes+1] = byte(Snappy)
		reseal(batch)
		if _, err := CheckProduced(batch); !errors.Is(err, ErrCorrupt) {
			t.Errorf("s2: %v, want ErrCorrupt", err)
		}
	}
	for n := range packed { // no length may lead out of the block
		plainSnappy(packed[:n])
	}
}
