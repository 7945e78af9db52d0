package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func sized(size int32, body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(size)), body...)
}

func TestReadFrameRefuses(t *testing.T) {
	header := []byte{0, 3, 0, 1, 0, 0, 0, 9}
	cases := []struct {
		name  string
		bytes []byte
		limit func(int16) int
		want  error
	}{
		{"nothing", nil, FrameLimit, io.EOF},
		{"half a size", []byte{0, 0}, FrameLimit, io.ErrUnexpectedEOF},
		{"only a size", sized(8), FrameLimit, io.ErrUnexpectedEOF},
		{"cut", sized(9, header...), FrameLimit, io.ErrUnexpectedEOF},
		{"good", sized(8, header...), FrameLimit, nil},
		{"zero", sized(0), FrameLimit, ErrFrameSize},
		{"negative", sized(-1, header...), FrameLimit, ErrFrameSize},
		{"no room for a header", sized(7, header...), FrameLimit, ErrFrameSize},
		{"4 GiB", sized(-256, header...), FrameLimit, ErrFrameSize},
		{"above 8 MiB", sized(MaxFrame+1, header...), FrameLimit, ErrFrameSize},
		{"8 MiB that never come", sized(MaxFrame, header...), FrameLimit, io.ErrUnexpectedEOF},
		{"Produce above 8 MiB", sized(MaxFrame+1, 0, 0, 0, 1, 0, 0, 0, 9), FrameLimit, io.ErrUnexpectedEOF},
		{"Produce above 100 MiB", sized(MaxProduceFrame+1, 0, 0, 0, 1, 0, 0, 0, 9), FrameLimit, ErrFrameSize},
		{"Produce before authentication", sized(MaxFrameBeforeAuth+1, 0, 0, 0, 1, 0, 0, 0, 9), FrameLimitBeforeAuth, ErrFrameSize},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), FrameLimit, ErrFrameSize},
		{"TLS hello", []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, FrameLimit, ErrFrameSize},
	}
	for _, c := range cases {
		frame, err := ReadFrame(iotest.OneByteReader(bytes.NewReader(c.bytes)), c.limit)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err == nil && !bytes.Equal(frame, header) {
			t.Errorf("%s: got %x", c.name, frame)
		}
	}
}

// TestReadFrameSizes reads frames around each size at which the buffer grows.
func TestReadFrameSizes(t *testing.T) {
	for _, size := range []int{8, 9, firstRead - 1, firstRead, firstRead + 1, 4 * firstRead, 4*firstRead + 1, 5 << 20} {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(i * 7)
		}
		body[0], body[1] = 0, 0
		two := append(sized(int32(size), body...), 'x')
		r := bytes.NewReader(two)
		got, err := ReadFrame(r, FrameLimit)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		if cap(got) != size {
			t.Errorf("%d bytes: capacity %d", size, cap(got))
		}
		if r.Len() != 1 {
			t.Errorf("%d bytes: %d bytes left, want 1", size, r.Len())
		}
	}
}

// TestReadFrameBelievesLittle announces 100 MiB and sends a few bytes (W5).
func TestReadFrameBelievesLittle(t *testing.T) {
	var before, after runtime.MemStats
	b := sized(MaxProduceFrame, make([]byte, 1000)...)
	runtime.ReadMemStats(&before)
	const times = 20
	for range times {
		if _, err := ReadFrame(bytes.NewReader(b), FrameLimit); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / times; got > 2*firstRead {
		t.Errorf("%d bytes for a frame that did not come", got)
	}
}

func TestReadFrameKeepsReaderErrors(t *testing.T) {
	broken := errors.New("connection reset")
	for n := range 12 {
		r := io.MultiReader(bytes.NewReader(sized(8, 0, 3, 0, 1, 0, 0, 0, 9)[:n]), iotest.ErrReader(broken))
		if _, err := ReadFrame(r, FrameLimit); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	cases := []struct {
		name  string
		frame []byte
		want  error
	}{
		{"no header", []byte{0, 3, 0, 1}, ErrMalformed},
		{"unknown key", []byte{3, 0xe7, 0, 0, 0, 0, 0, 9, 0xff, 0xff}, ErrUnknownKey},
		{"negative key", []byte{0xff, 0xff, 0, 0, 0, 0, 0, 9, 0xff, 0xff}, ErrUnknownKey},
		{"key between brokers", []byte{0, 4, 0, 0, 0, 0, 0, 9, 0xff, 0xff}, ErrUnknownKey},
		{"no client id", []byte{0, 3, 0, 1, 0, 0, 0, 9}, ErrMalformed},
		{"client id past the end", []byte{0, 3, 0, 1, 0, 0, 0, 9, 0, 5, 'a'}, ErrMalformed},
		{"null client id", []byte{0, 3, 0, 1, 0, 0, 0, 9, 0xff, 0xff}, nil},
		{"no tags", []byte{0, 3, 0, 9, 0, 0, 0, 9, 0xff, 0xff}, ErrMalformed},
		{"2^32 tags", []byte{0, 3, 0, 9, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f}, ErrMalformed},
		{"a tag", []byte{0, 3, 0, 9, 0, 0, 0, 9, 0xff, 0xff, 1, 7, 2, 'a', 'b'}, nil},
		{"version too high", []byte{0, 3, 0x7f, 0, 0, 0, 0, 9}, nil},
	}
	for _, c := range cases {
		req, err := ParseRequest(c.frame)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err == nil && (req.CorrelationID != 9 || len(req.Body) != 0) {
			t.Errorf("%s: got %+v", c.name, req)
		}
	}
}

// TestUnservedVersions must not let kmsg parse with today's layout (W2).
func TestUnservedVersions(t *testing.T) {
	for _, r := range Served() {
		for _, version := range []int16{-1, -1 << 15, r.Max + 1, 1<<15 - 1} {
			frame := []byte{0, byte(r.Key), byte(version >> 8), byte(version), 0, 0, 0, 9, 0xff, 0xff, 0, 0, 0, 0}
			req, err := ParseRequest(frame)
			if err != nil {
				t.Fatalf("%s v%d: %v", r.Name, version, err)
			}
			if _, err := Decode(req); !errors.Is(err, ErrVersion) {
				t.Errorf("%s v%d: %v, want ErrVersion", r.Name, version, err)
			}
		}
	}
	if _, err := Decode(Request{Key: 999}); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("key 999: %v", err)
	}
	if _, err := Decode(Request{Key: 4}); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("key 4: %v", err)
	}
}

// TestServed holds the table against kmsg.
func TestServed(t *testing.T) {
	last := int16(-1)
	for _, r := range Served() {
		if r.Key <= last {
			t.Errorf("%s is out of order", r.Name)
		}
		last = r.Key
		req := kmsg.RequestForKey(r.Key)
		name := kmsg.NameForKey(r.Key)
		if r.Key == 45 {
			name = "AlterPartitionReassignments" // kmsg has a name of its own
		}
		if req == nil || !strings.EqualFold(name, r.Name) {
			t.Errorf("key %d is %s, kmsg has %s", r.Key, r.Name, kmsg.NameForKey(r.Key))
			continue
		}
		least := int16(0)
		if r.Key >= 76 && r.Key <= 79 {
			least = 1 // version 0 was a preview in Kafka 4.0, and is gone since 4.1
		}
		if r.Min != least || r.Max != req.MaxVersion() {
			t.Errorf("%s: %d to %d, kmsg knows %d to %d", r.Name, r.Min, r.Max, least, req.MaxVersion())
		}
		if got, ok := Lookup(r.Key); !ok || got != r {
			t.Errorf("Lookup(%d) = %+v, %v", r.Key, got, ok)
		}
		if _, ok := layoutTexts[r.Key]; !ok {
			t.Errorf("%s has no layout", r.Name)
		}
	}
	for _, key := range []int16{-1, 4, 5, 999} {
		if r, ok := Lookup(key); ok {
			t.Errorf("Lookup(%d) = %+v", key, r)
		}
	}
}

// FuzzRequest sends bytes through all that stands between the network and a
// handler. The first bytes choose key and version, so that every API is reached.
func FuzzRequest(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, r := range served {
		for v := r.Min; v <= r.Max; v++ {
			req := kmsg.RequestForKey(r.Key)
			req.SetVersion(v)
			f.Add(frameOf(1, req)[sizeBytes:])
			f.Add(frameOf(1, filled(rng, r.Key, v))[sizeBytes:])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := ReadFrame(bytes.NewReader(sized(int32(len(b)), b...)), FrameLimit)
		if err != nil {
			if len(b) >= MinFrame {
				t.Fatalf("%d bytes: %v", len(b), err)
			}
			return
		}
		req, err := ParseRequest(frame)
		if err != nil {
			return
		}
		body, err := Decode(req)
		if err != nil {
			return
		}
		// What was decoded can be encoded, and that decodes to the same again.
		again := Request{Key: req.Key, Version: req.Version, Body: body.AppendTo(nil)}
		second, err := Decode(again)
		if err != nil {
			t.Fatalf("%+v\nencoded again: %v", body, err)
		}
		if !bytes.Equal(second.AppendTo(nil), again.Body) {
			t.Fatalf("got  %x\nwant %x", second.AppendTo(nil), again.Body)
		}
	})
}
