package record

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// oldMessage writes one v0 or v1 message by hand.
func oldMessage(magic, attributes byte, offset, ms int64, key, value []byte) []byte {
	body := []byte{magic, attributes}
	if magic == 1 {
		body = binary.BigEndian.AppendUint64(body, uint64(ms))
	}
	body = appendBytes32(appendBytes32(body, key), value)
	b := binary.BigEndian.AppendUint64(nil, uint64(offset))
	b = binary.BigEndian.AppendUint32(b, uint32(4+len(body)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(body))
	return append(b, body...)
}

func packed(t *testing.T, b []byte, c Codec) []byte {
	t.Helper()
	out, err := Compress(nil, b, c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// readSet gives the lines of a message set.
func readSet(b []byte, limit int) (got []string, err error) {
	for r, err := range Messages(b, limit) {
		if err != nil {
			return got, err
		}
		got = append(got, line(r))
	}
	return got, nil
}

func TestGoldenMessage(t *testing.T) {
	want := "0000000000000007" + "00000010" + "%08x" + "0000" + "ffffffff" + "0000000268" + "69"
	want = fmt.Sprintf(want, crc32.ChecksumIEEE([]byte("\x00\x00\xff\xff\xff\xff\x00\x00\x00\x02hi")))
	r := Record{Offset: 7, Value: []byte("hi")}
	if got := hex.EncodeToString(appendMessage(nil, 0, &r, false)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMessages(t *testing.T) {
	k, v := []byte("k"), []byte("v")
	for _, c := range codecs[1:4] {
		inner0 := slices.Concat(oldMessage(0, 0, 20, 0, k, v), oldMessage(0, 0, 25, 0, nil, v))
		inner1 := slices.Concat(oldMessage(1, 0, 0, 11, k, v), oldMessage(1, 0, 2, 12, nil, nil))
		cases := []struct {
			name string
			set  []byte
			want []string
		}{
			{"nothing", nil, nil},
			{"v0", slices.Concat(oldMessage(0, 0, 3, 0, k, v), oldMessage(0, 0, 4, 0, nil, []byte{})), []string{`3@-1 "k"="v"`, `4@-1 null=""`}},
			{"v1", oldMessage(1, 0, 3, 99, k, nil), []string{`3@99 "k"=null`}},
			{"v0 wrapper, absolute", oldMessage(0, byte(c), 25, 0, nil, packed(t, inner0, c)), []string{`20@-1 "k"="v"`, `25@-1 null="v"`}},
			{"v1 wrapper, relative", oldMessage(1, byte(c), 42, 12, nil, packed(t, inner1, c)), []string{`40@11 "k"="v"`, `42@12 null=null`}},
			{"v1 wrapper, append time", oldMessage(1, byte(c)|8, 2, 77, nil, packed(t, inner1, c)), []string{`0@77 "k"="v"`, `2@77 null=null`}},
			{"wrapper and plain", slices.Concat(oldMessage(1, byte(c), 2, 12, nil, packed(t, inner1, c)), oldMessage(1, 0, 3, 13, nil, v)),
				[]string{`0@11 "k"="v"`, `2@12 null=null`, `3@13 null="v"`}},
			{"empty wrapper", oldMessage(1, byte(c), 2, 12, nil, packed(t, nil, c)), nil},
		}
		for _, cs := range cases {
			if got, err := readSet(cs.set, testLimit); err != nil || !slices.Equal(got, cs.want) {
				t.Errorf("%v, %s: got %q, %v; want %q", c, cs.name, got, err, cs.want)
			}
		}
	}
}

func TestFromMessageSet(t *testing.T) {
	inner := slices.Concat(oldMessage(1, 0, 0, 30, []byte("a"), []byte("1")), oldMessage(1, 0, 1, 20, nil, nil))
	set := slices.Concat(oldMessage(1, byte(Gzip), 0, 30, nil, packed(t, inner, Gzip)), oldMessage(1, 0, 0, 40, nil, []byte("2")))
	batch, err := FromMessageSet(set, testLimit)
	if err != nil {
		t.Fatal(err)
	}
	h, err := CheckProduced(batch)
	if err != nil || h.Codec() != Gzip || h.BaseTimestamp != 30 || h.MaxTimestamp != 40 || h.Count != 3 {
		t.Errorf("header %+v, %v", h, err)
	}
	if got, want := lines(t, batch), []string{`0@30 "a"="1"`, `1@20 null=null`, `2@40 null="2"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	batch, err = FromMessageSet(oldMessage(0, 0, 5, 0, nil, nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := CheckProduced(batch); err != nil || h.BaseTimestamp != -1 || h.MaxTimestamp != -1 {
		t.Errorf("v0: %+v, %v", h, err)
	}
	batch, err = FromMessageSet(oldMessage(1, 8, 0, 50, nil, nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CheckProduced(batch); !errors.Is(err, ErrTimestampType) {
		t.Errorf("append time set by a client: %v", err)
	}
}

func TestHostileMessageSets(t *testing.T) {
	good := oldMessage(1, 0, 0, 1, []byte("key"), []byte("value"))
	change := func(pos int, v ...byte) []byte {
		b := slices.Clone(good)
		copy(b[pos:], v)
		binary.BigEndian.PutUint32(b[posMessageCRC:], crc32.ChecksumIEEE(b[posMagic:]))
		return b
	}
	flipped := slices.Clone(good)
	flipped[len(flipped)-1] ^= 1
	wrap := func(magic byte, c Codec, inner []byte) []byte {
		return oldMessage(magic, byte(c), 0, 0, nil, packed(t, inner, c))
	}
	cases := []struct {
		name string
		set  []byte
		want error
	}{
		{"good", good, nil},
		{"nothing", nil, ErrCorrupt},
		{"empty wrapper", wrap(1, Gzip, nil), ErrCorrupt},
		{"cut", good[:len(good)-1], ErrShort},
		{"cut in the head", good[:20], ErrShort},
		{"second cut", slices.Concat(good, good[:30]), ErrShort},
		{"bit flipped", flipped, ErrCRC},
		{"magic 2", change(posMagic, 2), ErrMagic},
		{"magic -1", change(posMagic, 0xff), ErrMagic},
		{"size 0", change(8, 0, 0, 0, 0), ErrCorrupt},
		{"size negative", change(8, 0x80), ErrCorrupt},
		{"size 2^31-1", change(8, 0x7f, 0xff, 0xff, 0xff), ErrShort},
		{"key past the end", change(26, 0, 0, 1, 0), ErrCorrupt},
		{"key of -2", change(26, 0xff, 0xff, 0xff, 0xfe), ErrCorrupt},
		{"value too short", change(33, 0, 0, 0, 4), ErrCorrupt},
		{"no room for a time", oldMessage(0, 0, 0, 0, nil, nil)[:16], ErrShort},
		{"zstd", change(posMagic+1, byte(Zstd)), ErrCodec},
		{"codec 7", change(posMagic+1, 7), ErrCodec},
		{"not compressed", change(posMagic+1, byte(Gzip)), ErrCorrupt},
		{"wrapper in wrapper", wrap(1, Gzip, wrap(1, Gzip, good)), ErrCorrupt},
		{"v1 in v0", wrap(0, Gzip, good), ErrMagic},
		{"inner cut", wrap(1, Snappy, good[:len(good)-1]), ErrShort},
		{"inner flipped", wrap(1, LZ4, flipped), ErrCRC},
		{"bomb", wrap(1, Gzip, oldMessage(1, 0, 0, 0, nil, make([]byte, testLimit))), ErrTooLarge},
		{"bomb in parts", bytes.Repeat(wrap(1, Gzip, oldMessage(1, 0, 0, 0, nil, make([]byte, testLimit/2))), 3), ErrTooLarge},
	}
	for _, c := range cases {
		if _, err := FromMessageSet(c.set, testLimit); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestOldLZ4 reads frames with the header checksum that Kafka's first lz4
// clients wrote, in magic 0 only.
func TestOldLZ4(t *testing.T) {
	for _, o := range [][]lz4.Option{{}, {lz4.SizeOption(31)}} {
		frame := lz4Frame(t, oldMessage(0, 0, 0, 0, nil, []byte("hello")), o...)
		end := lz4HeaderSize(frame[4]) - 1
		if byte(xxh32(frame[4:end])>>8) != frame[end] {
			t.Fatal("checksum of a good frame is not ours")
		}
		broken := slices.Clone(frame)
		broken[end] = byte(xxh32(frame[:end]) >> 8)
		bad := slices.Clone(frame)
		bad[end] += 3
		for name, c := range map[string]struct {
			magic byte
			frame []byte
			want  error
		}{"right": {0, frame, nil}, "of old clients": {0, broken, nil}, "wrong": {0, bad, ErrCorrupt}, "of old clients in v1": {1, broken, ErrCorrupt}} {
			keep := slices.Clone(c.frame)
			_, err := FromMessageSet(oldMessage(c.magic, byte(LZ4), 0, 0, nil, c.frame), testLimit)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if !bytes.Equal(keep, c.frame) {
				t.Errorf("%s: the frame was changed", name)
			}
		}
	}
}

func TestToMessageSet(t *testing.T) {
	b := NewBuilder(Options{Codec: Zstd, BaseOffset: 10})
	b.Append(5, []byte("k"), []byte("v"), RecordHeader{"lost", nil})
	b.AppendAt(4, 6, nil, nil)
	first := mustBytes(t, b)
	marker, err := Marker{Commit: true, Timestamp: 1}.Batch()
	if err != nil {
		t.Fatal(err)
	}
	SetBaseOffset(marker, 15)
	b.Reset(Options{BaseOffset: 16, AppendTimeMs: 70})
	b.Append(7, nil, []byte("w"))
	all := slices.Concat(first, marker, mustBytes(t, b))

	for magic, want := range map[int8][]string{
		0: {`10@-1 "k"="v"`, `14@-1 null=null`, `16@-1 null="w"`},
		1: {`10@5 "k"="v"`, `14@6 null=null`, `16@70 null="w"`},
	} {
		set, err := ToMessageSet(all, magic, testLimit)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readSet(set, 0); err != nil || !slices.Equal(got, want) {
			t.Errorf("magic %d: got %q, %v; want %q", magic, got, err, want)
		}
		if m, err := Magic(set); m != magic || err != nil {
			t.Errorf("Magic = %d, %v", m, err)
		}
		plain, err := Rebuild(first, None, 0, testLimit)
		if err != nil {
			t.Fatal(err)
		}
		set, err = ToMessageSet(slices.Concat(plain, all[len(first):]), magic, 10) // the first batch passes it
		if got, err2 := readSet(set, 0); err != nil || err2 != nil || !slices.Equal(got, want[:2]) {
			t.Errorf("magic %d, limit 10: got %q, %v, %v; want %q", magic, got, err, err2, want[:2])
		}
	}
	if _, err := ToMessageSet(all, 2, testLimit); !errors.Is(err, ErrMagic) {
		t.Errorf("magic 2: %v", err)
	}
	if _, err := ToMessageSet(all[:len(all)-1], 1, testLimit); !errors.Is(err, ErrShort) {
		t.Errorf("cut: %v", err)
	}
	if _, err := ToMessageSet(first, 1, 3); !errors.Is(err, ErrTooLarge) {
		t.Errorf("limit 3: %v", err)
	}
}
