package sqlite

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

// randomHeader is a header at base with fields of every size.
func randomHeader(rng *rand.Rand, base int64) record.Header {
	any64 := func() int64 { return int64(rng.Uint64()) >> rng.IntN(64) }
	h := record.Header{
		BaseOffset: base, Length: int32(rng.IntN(1<<20) + record.HeaderSize - 12), Magic: 2,
		LeaderEpoch: int32(any64()), CRC: rng.Uint32(), Attributes: int16(any64()),
		LastOffsetDelta: rng.Int32N(1000), BaseTimestamp: any64(), MaxTimestamp: any64(),
		ProducerID: any64(), ProducerEpoch: int16(any64()), BaseSequence: int32(any64()),
	}
	h.Count = rng.Int32N(h.LastOffsetDelta + 2)
	return h
}

// decodeAll decodes every run of a directory.
func decodeAll(dir []byte) (heads []head, all []record.Header, err error) {
	heads, entries, err := parseDir(dir, nil)
	if err != nil {
		return nil, nil, err
	}
	pos := uint32(0)
	for _, r := range heads {
		err := decodeRun(r, pos, entries[:r.entries], func(at uint32, h record.Header) bool {
			all = append(all, h)
			return true
		})
		if err != nil {
			return nil, nil, err
		}
		pos, entries = pos+r.bytes, entries[r.entries:]
	}
	return heads, all, nil
}

func TestDirRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var d dirBuilder
	for round := range 200 {
		d.reset()
		var want []record.Header
		for log := range int64(rng.IntN(5) + 1) {
			base := rng.Int64() >> rng.IntN(63)
			base = min(base, math.MaxInt64-1<<40)
			for i := range rng.IntN(6) + 1 {
				h := randomHeader(rng, base)
				if i == 0 {
					d.start(log, h)
				}
				d.add(h)
				want = append(want, h)
				base = h.LastOffset() + 1 + rng.Int64N(3)
			}
		}
		_, got, err := decodeAll(d.encode(nil))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if len(got) != len(want) {
			t.Fatalf("round %d: got %d batches, want %d", round, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("round %d, batch %d:\ngot  %+v\nwant %+v", round, i, got[i], want[i])
			}
		}
	}
}

// TestDirDamage flips each bit and cuts at each byte.
func TestDirDamage(t *testing.T) {
	var d dirBuilder
	h := randomHeader(rand.New(rand.NewPCG(3, 4)), 77)
	d.start(5, h)
	d.add(h)
	dir := d.encode(nil)
	for i := range dir {
		if _, _, err := decodeAll(dir[:i]); err == nil {
			t.Errorf("cut at %d: no error", i)
		}
		for bit := range 8 {
			dir[i] ^= 1 << bit
			if _, _, err := decodeAll(dir); err == nil {
				t.Errorf("bit %d of byte %d flipped: no error", bit, i)
			}
			dir[i] ^= 1 << bit
		}
	}
}

func TestDirSmall(t *testing.T) {
	h := record.Header{BaseOffset: 1000, Length: 1000, Magic: 2, Count: 1, BaseTimestamp: 1_700_000_000_000,
		MaxTimestamp: 1_700_000_000_000, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}
	var d dirBuilder
	d.start(1, h)
	for range 100 {
		d.add(h)
		h.BaseOffset++
	}
	if got := len(d.encode(nil)); got > 16*100+40 {
		t.Errorf("100 plain batches take %d bytes, want at most 16 each", got)
	}
}

func FuzzDir(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	var d dirBuilder
	for log := range int64(3) {
		h := randomHeader(rng, 100*log)
		d.start(log, h)
		d.add(h)
	}
	f.Add(d.encode(nil))
	f.Add([]byte{0, 0, 0, 0, dirFormat, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4 {
			// The checksum is made right, or nothing behind it is reached.
			sum := checksum(b[4:])
			b[0], b[1], b[2], b[3] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
		}
		heads, all, err := decodeAll(b)
		if err != nil {
			return
		}
		n := 0
		for _, r := range heads {
			n += int(r.batches)
		}
		if n != len(all) {
			t.Errorf("%d batches in runs, %d entries", n, len(all))
		}
	})
}

// TestDirGolden holds the format to the example in README.md.
func TestDirGolden(t *testing.T) {
	const want = "612ef668" + "01" + "01" + // crc, format, one run
		"01" + "00" + "00" + "01" + "f403" + "10" + "80a0abfef962" + "00" + // the run
		"f403" + "00" + "00" + "00" + "9bfc47c7" + "00" + "00" + "00" + "00" + "01" + "01" + "01" // its batch
	h, err := record.ParseHeader(storagetest.Batch(0, 1, 500))
	if err != nil {
		t.Fatal(err)
	}
	var d dirBuilder
	d.start(1, h)
	d.add(h)
	if got := hex.EncodeToString(d.encode(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
