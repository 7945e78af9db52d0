package schema

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseFrame(t *testing.T) {
	guid := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	header := AppendHeader(nil, guid)
	tests := []struct {
		name    string
		value   []byte
		header  []byte
		present bool
		want    Frame
	}{
		{"prefix", []byte{0, 0, 0, 1, 2, 'x'}, nil, false, Frame{Form: Prefix, ID: 258, Payload: []byte("x")}},
		{"prefix alone", []byte{0, 0, 0, 0, 1}, nil, false, Frame{Form: Prefix, ID: 1, Payload: []byte{}}},
		{"negative id", []byte{0, 0xff, 0xff, 0xff, 0xff}, nil, false, Frame{Form: Prefix, ID: -1, Payload: []byte{}}},
		{"short", []byte{0, 0, 0, 1}, nil, false, Frame{Payload: []byte{0, 0, 0, 1}}},
		{"bare", []byte(`{"a":1}`), nil, false, Frame{Payload: []byte(`{"a":1}`)}},
		{"nothing", nil, nil, false, Frame{}},
		{"guid", []byte{0, 0, 0, 0, 1}, header, true, Frame{Form: Header, GUID: guid, HasGUID: true, Payload: []byte{0, 0, 0, 0, 1}}},
		{"guid and indexes", []byte("x"), append(slices.Clone(header), 2, 4), true, Frame{Form: Header, GUID: guid, HasGUID: true, Indexes: []byte{2, 4}, Payload: []byte("x")}},
		{"id in the header", []byte("x"), AppendPrefix(nil, 7), true, Frame{Form: Header, ID: 7, Payload: []byte("x")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseFrame(tt.value, tt.header, tt.present)
			if err != nil {
				t.Fatal(err)
			}
			if got.Form != tt.want.Form || got.ID != tt.want.ID || got.GUID != tt.want.GUID || got.HasGUID != tt.want.HasGUID ||
				!bytes.Equal(got.Payload, tt.want.Payload) || !bytes.Equal(got.Indexes, tt.want.Indexes) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	for _, header := range [][]byte{nil, {}, {2}, {0, 0, 0, 1}, AppendHeader(nil, guid)[:16], []byte("text")} {
		var bad *Invalid
		if _, err := ParseFrame([]byte("x"), header, true); !errors.As(err, &bad) {
			t.Errorf("header %x: %v, want an Invalid", header, err)
		}
	}
}

func TestIndexes(t *testing.T) {
	for _, want := range [][]int{nil, {1}, {0, 0}, {2, 0, 3}, {1 << 30}, make([]int, maxIndexes)} {
		b := append(AppendIndexes(nil, want), "rest"...)
		got, rest, err := ParseIndexes(b)
		if err != nil || !slices.Equal(got, want) || string(rest) != "rest" {
			t.Errorf("%v: got %v, rest %q, %v", want, got, rest, err)
		}
	}
	if got, rest, err := ParseIndexes([]byte{2, 0, 'r'}); err != nil || got != nil || string(rest) != "r" {
		t.Errorf("[0] in its long form: %v, %q, %v", got, rest, err)
	}
	if b := AppendIndexes(nil, []int{0}); !bytes.Equal(b, []byte{0}) {
		t.Errorf("[0] is %x, want 00", b)
	}
	bad := map[string][]byte{
		"nothing":        {},
		"negative count": {1},
		"count too high": append([]byte{0x82, 1}, make([]byte, 100)...),
		"count, no data": {8, 2},
		"negative index": {2, 1},
		"index too high": {2, 0x80, 0x80, 0x80, 0x80, 0x10},
		"endless varint": bytes.Repeat([]byte{0xff}, 11),
	}
	for name, b := range bad {
		if got, _, err := ParseIndexes(b); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
	first := []byte{0, 1, 2}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = ParseIndexes(first) }); n != 0 {
		t.Errorf("%v allocations for the first message", n)
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		name    string
		f       Frame
		lang    Type
		index   []int
		payload string
	}{
		{"avro", Frame{Form: Prefix, Payload: []byte("\x02\x04x")}, Avro, nil, "\x02\x04x"},
		{"protobuf prefix", Frame{Form: Prefix, Payload: []byte("\x02\x04x")}, Protobuf, []int{2}, "x"},
		{"protobuf header", Frame{Form: Header, Indexes: []byte("\x02\x04"), Payload: []byte("x")}, Protobuf, []int{2}, "x"},
		{"protobuf header without", Frame{Form: Header, Payload: []byte("x")}, Protobuf, nil, "x"},
		{"protobuf bare", Frame{Payload: []byte("\x02\x04x")}, Protobuf, nil, "\x02\x04x"},
	}
	for _, tt := range tests {
		index, payload, err := tt.f.Split(tt.lang)
		if err != nil || !slices.Equal(index, tt.index) || string(payload) != tt.payload {
			t.Errorf("%s: got %v, %q, %v", tt.name, index, payload, err)
		}
	}
	if _, _, err := (Frame{Form: Header, Indexes: []byte{0, 9}}).Split(Protobuf); err == nil || !strings.Contains(err.Error(), "1 more bytes") {
		t.Errorf("bytes behind the indexes: %v", err)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 2, 4}, []byte{}, false)
	f.Add([]byte("x"), append(AppendHeader(nil, [16]byte{9}), 4, 2, 6), true)
	f.Fuzz(func(t *testing.T, value, header []byte, present bool) {
		frame, err := ParseFrame(value, header, present)
		if err != nil {
			return
		}
		index, payload, err := frame.Split(Protobuf)
		if err != nil {
			return
		}
		again, rest, err := ParseIndexes(append(AppendIndexes(nil, index), payload...))
		if err != nil || !slices.Equal(again, index) || !bytes.Equal(rest, payload) {
			t.Fatalf("indexes %v, then %v, %v", index, again, err)
		}
	})
}
