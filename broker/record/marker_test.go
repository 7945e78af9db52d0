package record

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestMarker(t *testing.T) {
	for _, m := range []Marker{
		{ProducerID: 3, ProducerEpoch: 2, Commit: true, CoordinatorEpoch: 9, Timestamp: 1700000000000},
		{ProducerID: 0, ProducerEpoch: 0, Timestamp: 1},
	} {
		batch, err := m.Batch()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadMarker(batch)
		if err != nil || got != m {
			t.Errorf("got %+v, %v; want %+v", got, err, m)
		}
		h, err := ParseHeader(batch)
		if err != nil || h.Attributes != 0x30 || h.BaseSequence != -1 || h.LastOffsetDelta != 0 {
			t.Errorf("header %+v, %v", h, err)
		}
		if len(batch) != markerSize {
			t.Errorf("%d bytes, want %d", len(batch), markerSize)
		}
	}
}

func TestMarkerBytes(t *testing.T) {
	batch, err := Marker{Commit: true, CoordinatorEpoch: 1}.Batch()
	if err != nil {
		t.Fatal(err)
	}
	want := "20" + "00" + "00" + "00" + "08" + "00000001" + "0c" + "000000000001" + "00"
	if got := hex.EncodeToString(batch[HeaderSize:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReadMarkerRefuses(t *testing.T) {
	build := func(control bool, key, value string) []byte {
		b := NewBuilder(Options{Control: control})
		b.Append(0, []byte(key), []byte(value))
		return mustBytes(t, b)
	}
	for name, batch := range map[string][]byte{
		"data":       build(false, "\x00\x00\x00\x01", strings.Repeat("\x00", 6)),
		"other type": build(true, "\x00\x00\x00\x02", strings.Repeat("\x00", 6)),
		"short key":  build(true, "\x00\x00\x00", strings.Repeat("\x00", 6)),
		"no value":   build(true, "\x00\x00\x00\x01", ""),
		"empty":      mustBytes(t, NewBuilder(Options{Control: true})),
	} {
		if m, err := ReadMarker(batch); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}
