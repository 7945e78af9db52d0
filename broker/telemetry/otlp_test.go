package telemetry

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// message is a field that holds the given ones.
func message(num protowire.Number, of ...[]byte) []byte {
	var body []byte
	for _, f := range of {
		body = append(body, f...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), body)
}

func text(num protowire.Number, s string) []byte { return message(num, []byte(s)) }

func fixed(num protowire.Number, n uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), n)
}

func double(num protowire.Number, f float64) []byte { return fixed(num, math.Float64bits(f)) }

func varint(num protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), n)
}

func keyValue(num protowire.Number, key string, value []byte) []byte {
	return message(num, text(1, key), message(2, value))
}

// data is a MetricsData of one resource and scope.
func data(resource []byte, metrics ...[]byte) []byte {
	return message(1, resource, message(2, append([][]byte{message(1, text(1, "scope"))}, metrics...)...))
}

// sample has a metric of every kind.
func sample() []byte {
	return data(
		message(1, keyValue(1, "group_id", text(1, "g")), keyValue(1, "rack", varint(3, 5))),
		message(2, text(1, "gauge"), text(2, "words"), message(5, message(1, keyValue(7, "node", text(1, "1")), double(4, 2.5)), message(1, fixed(6, 7)))),
		message(2, text(1, "sum"), message(7, message(1, fixed(2, 9), fixed(6, math.MaxUint64)), varint(2, 2), varint(3, 1))),
		message(2, text(1, "histogram"), message(9, message(1, keyValue(9, "b", varint(2, 1)), fixed(4, 3), double(5, 30)))),
		message(2, text(1, "exponential"), message(10, message(1, keyValue(1, "d", double(4, 0.5)), fixed(4, 2), double(5, 8)))),
		message(2, text(1, "summary"), message(11, message(1, keyValue(7, "raw", text(7, "\x01")), fixed(4, 1), double(5, 4)))),
		message(2, text(1, "nothing")),
	)
}

func TestMetrics(t *testing.T) {
	p, err := parseMetrics(sample())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(p.labels), "[{group_id g} {rack 5}]"; got != want {
		t.Errorf("labels %s, want %s", got, want)
	}
	want := "[{gauge [{node 1}] 2.5 -1} {gauge [] 7 -1} {sum [] -1 -1} {histogram [{b true}] 30 3} " +
		"{exponential [{d 0.5}] 8 2} {summary [{raw AQ==}] 4 1}]"
	if got := fmt.Sprint(p.points); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestPush takes metrics by every codec, and keeps the last.
func TestPush(t *testing.T) {
	b := newBench(t, memory.New())
	b.mustSet("s", "metrics=*", "interval.ms=100")
	who := Client{ID: "c", Software: "test"}
	told, err := b.Subscribe(ID{3}, who)
	if err != nil {
		t.Fatal(err)
	}
	push := func(codec record.Codec, metrics []byte) error {
		t.Helper()
		b.now = b.now.Add(time.Second)
		return b.Push(ID{3}, who, told.ID, false, codec, metrics)
	}
	for _, codec := range append(Codecs(), record.None) {
		packed, err := record.Compress(nil, sample(), codec)
		if err != nil {
			t.Fatal(err)
		}
		if err := push(codec, packed); err != nil {
			t.Errorf("%v: %v", codec, err)
		}
	}
	if err := push(record.None, data(nil, message(2, text(1, "one"), message(7, message(1, fixed(6, 1)))))); err != nil {
		t.Fatal(err)
	}
	all := b.Instances()
	if len(all) != 1 || len(all[0].Points) != 1 || all[0].Points[0].Name != "one" || !all[0].Pushed.Equal(b.now) || all[0].Client != who {
		t.Fatalf("got %+v", all)
	}
	bomb, err := record.Compress(nil, make([]byte, MaxBytes+1), record.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		codec   record.Codec
		metrics []byte
		want    error
	}{
		{record.Zstd, bomb, ErrTooLarge},
		{record.Gzip, []byte("no gzip"), ErrMetrics},
		{record.None, []byte("no metrics"), ErrMetrics},
		{record.None, message(1, message(2, message(2, message(5, []byte{0x0a, 9})))), ErrMetrics},
	} {
		if err := push(c.codec, c.metrics); !errors.Is(err, c.want) {
			t.Errorf("%.20q: got %v, want %v", c.metrics, err, c.want)
		}
	}
	if got := b.Instances()[0].Points; len(got) != 1 {
		t.Errorf("a bad push changed what is kept: %v", got)
	}
}

// TestForgotten lets clients be silent, be too many, and keep too much.
func TestForgotten(t *testing.T) {
	b := newBench(t, memory.New())
	b.mustSet("s", "metrics=*", "interval.ms=100")
	ask := func(n int) Subscription {
		t.Helper()
		s, err := b.Subscribe(ID{byte(n), byte(n >> 8), 1}, Client{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ask(1)
	b.now = b.now.Add(minSilence)
	if n := len(b.Instances()); n != 1 {
		t.Errorf("%d clients", n)
	}
	b.now = b.now.Add(1)
	if n := len(b.Instances()); n != 0 {
		t.Errorf("%d clients that have been silent", n)
	}
	if ask(2); b.instances.order.Len() != 1 || len(b.instances.byID) != 1 {
		t.Errorf("%d clients remembered", b.instances.order.Len())
	}
	for n := range maxInstances + 5 {
		ask(n + 10)
	}
	if n := len(b.Instances()); n != maxInstances {
		t.Errorf("%d clients, want %d", n, maxInstances)
	}
	// A thousand labels of 400 bytes a push.
	var metrics [][]byte
	for range 1000 {
		metrics = append(metrics, message(2, text(1, "m"), message(5, message(1, keyValue(7, "k", text(1, string(make([]byte, 400)))), fixed(6, 1)))))
	}
	push := data(nil, metrics...)
	for n := range 100 {
		s := ask(n + 100_000)
		if err := b.Push(s.Client, Client{}, s.ID, false, record.None, push); err != nil {
			t.Fatal(err)
		}
	}
	kept := 0
	for _, in := range b.Instances() {
		if len(in.Points) > 0 {
			kept++
		}
	}
	if got := b.instances.kept; got > maxKept || got < maxKept/2 || kept < 10 || kept == 100 {
		t.Errorf("%d bytes are kept of %d clients", got, kept)
	}
}

// TestManyPoints keeps a number of points, and counts the rest.
func TestManyPoints(t *testing.T) {
	var points [][]byte
	for range maxPoints + 3 {
		points = append(points, message(1, fixed(6, 1)))
	}
	p, err := parseMetrics(data(nil, message(2, text(1, "m"), message(5, points...))))
	if err != nil || len(p.points) != maxPoints || p.dropped != 3 {
		t.Errorf("%d points, %d dropped: %v", len(p.points), p.dropped, err)
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add(sample())
	f.Add([]byte("no metrics"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseMetrics(b)
		if err != nil && !errors.Is(err, ErrMetrics) {
			t.Errorf("unlike an error of this package: %v", err)
		}
		size := 0
		for _, l := range p.labels {
			size += len(l.Key) + len(l.Value)
		}
		for _, point := range p.points {
			for _, l := range point.Labels {
				size += len(l.Key) + len(l.Value)
			}
		}
		if size > p.size || size > 2*len(b)+1000 || len(p.points) > maxPoints {
			t.Errorf("%d bytes gave %d points, %d bytes of labels, counted as %d", len(b), len(p.points), size, p.size)
		}
	})
}
