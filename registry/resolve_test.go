package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

const protoText = "syntax = \"proto3\";\npackage shop;\nmessage A { int64 n = 1; }\nmessage B { string s = 1; message C { int64 n = 1; } }\n"

func TestResolve(t *testing.T) {
	r := open(t, memory.New())
	order := register(t, r, "orders-value", avro(orderV1))
	register(t, r, "orders-value", avro(orderV2))
	register(t, r, "proto", Request{Type: schema.Protobuf, Text: protoText})
	register(t, r, "empty", Request{Type: schema.Protobuf, Text: "syntax = \"proto3\";\nenum E { X = 0; }\n"})
	guid := schema.AppendHeader(nil, schema.GUID(order.Text, nil, nil, nil))
	tests := []struct {
		name, subject string
		value, header []byte
		id            int
		index         []int
		message       string // the payload type's name
		want          string // the refusal
	}{
		{"prefix", "", []byte{0, 0, 0, 0, 1, 14}, nil, 1, nil, "shop.Order", ""},
		{"bare is the latest", "orders-value", []byte{14, 0}, nil, 2, nil, "shop.Order", ""},
		{"header", "", []byte{14}, guid, 1, nil, "shop.Order", ""},
		{"first message", "", []byte{0, 0, 0, 0, 3, 0, 14}, nil, 3, nil, "shop.A", ""},
		{"first message, long form", "", []byte{0, 0, 0, 0, 3, 2, 0, 14}, nil, 3, nil, "shop.A", ""},
		{"second message", "", []byte{0, 0, 0, 0, 3, 2, 2, 14}, nil, 3, []int{1}, "shop.B", ""},
		{"nested message", "", []byte{0, 0, 0, 0, 3, 4, 2, 0, 14}, nil, 3, []int{1, 0}, "shop.B.C", ""},
		{"padded index", "", []byte{0, 0, 0, 0, 3, 0x82, 0, 2, 14}, nil, 3, []int{1}, "shop.B", ""},
		{"bare Protobuf", "proto", []byte{14}, nil, 3, nil, "shop.A", ""},

		{"unknown id", "orders-value", []byte{0, 0, 0, 0, 9, 14}, nil, 0, nil, "", "unknown schema id 9"},
		{"negative id", "", []byte{0, 0xff, 0xff, 0xff, 0xff, 14}, nil, 0, nil, "", "unknown schema id -1"},
		{"no schema", "nothing", []byte{14}, nil, 0, nil, "", `no schema id, and subject "nothing" has no schema`},
		{"no index", "", []byte{0, 0, 0, 0, 3}, nil, 3, nil, "", "message indexes: "},
		{"index too large", "", []byte{0, 0, 0, 0, 3, 2, 20, 1}, nil, 3, nil, "", "message index [10]: the schema has no such message"},
		{"no message at all", "", []byte{0, 0, 0, 0, 4, 0, 1}, nil, 4, nil, "", "message index []: the schema has no such message"},
	}
	for _, tt := range tests {
		for range 2 { // from the text, then from the caches
			p, err := r.Resolve(tt.subject, tt.value, tt.header, tt.header != nil)
			if tt.want != "" {
				if bad, ok := errors.AsType[*Unresolved](err); !ok || !strings.HasPrefix(bad.Reason, tt.want) {
					t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
				}
				continue
			}
			if err != nil || p.ID != tt.id || !slices.Equal(p.Index, tt.index) || p.Name != tt.message || p.Decoder == nil {
				t.Errorf("%s: %+v, %v", tt.name, p, err)
			}
			if tail := tt.value[len(tt.value)-len(p.Bytes):]; p.Bytes[0] != 14 || &tail[0] != &p.Bytes[0] {
				t.Errorf("%s: payload %x", tt.name, p.Bytes)
			}
		}
	}
}

// TestResolveAllocates says that the good path costs no allocation, whatever
// the form.
func TestResolveAllocates(t *testing.T) {
	r := open(t, memory.New())
	order := register(t, r, "orders-value", avro(orderV1))
	register(t, r, "proto", Request{Type: schema.Protobuf, Text: protoText})
	guid := schema.AppendHeader(nil, schema.GUID(order.Text, nil, nil, nil))
	for name, tt := range map[string]struct{ value, header []byte }{
		"prefix":  {[]byte{0, 0, 0, 0, 1, 14}, nil},
		"bare":    {[]byte{14}, nil},
		"header":  {[]byte{14}, guid},
		"message": {[]byte{0, 0, 0, 0, 2, 4, 2, 0, 14}, nil},
	} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := r.Resolve("orders-value", tt.value, tt.header, tt.header != nil); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestMessageCache says that padded indexes cannot make the cache grow without
// end.
func TestMessageCache(t *testing.T) {
	r := open(t, memory.New())
	text := "syntax = \"proto3\";\n"
	for i := range 200 {
		text += fmt.Sprintf("message M%d { int64 n = 1; }\n", i)
	}
	register(t, r, "proto", Request{Type: schema.Protobuf, Text: text})
	for i := range 199 {
		for pad := range 8 {
			value := append([]byte{0, 0, 0, 0, 1}, padded(2, pad)...)
			value = append(binary.AppendVarint(value, int64(i+1)), 14)
			if p, err := r.Resolve("", value, nil, false); err != nil || p.Name != fmt.Sprint("M", i+1) {
				t.Fatalf("message %d: %+v, %v", i+1, p, err)
			}
		}
	}
	if n := len(*r.world.Load().home().ids.get(1).parsed.Load().others.Load()); n != maxMessages {
		t.Errorf("%d messages are remembered, want %d", n, maxMessages)
	}
}

// padded is a zigzag varint with n bytes more than it needs.
func padded(v byte, n int) []byte {
	b := []byte{v}
	for range n {
		b[len(b)-1] |= 0x80
		b = append(b, 0)
	}
	return b
}

// TestResolveRaces reads while others register and the caches fill.
func TestResolveRaces(t *testing.T) {
	r := open(t, memory.New())
	register(t, r, "proto", Request{Type: schema.Protobuf, Text: protoText})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 200 {
				index := []byte{2, byte(2 * (n % 2))}
				if _, err := r.Resolve("proto", append([]byte{0, 0, 0, 0, 1}, append(index, 14)...), nil, false); err != nil {
					t.Error(err)
				}
				if n%20 == 0 {
					text := fmt.Sprintf(`{"type":"enum","name":"E%d_%d","symbols":["A"]}`, i, n)
					if _, err := r.Register(t.Context(), fmt.Sprint("s", i, n), avro(text)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkResolve(b *testing.B) {
	r := open(b, memory.New())
	register(b, r, "orders-value", avro(orderV1))
	value := []byte{0, 0, 0, 0, 1, 14}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Resolve("orders-value", value, nil, false); err != nil {
			b.Fatal(err)
		}
	}
}
