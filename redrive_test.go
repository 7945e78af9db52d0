package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink/wiring"
)

// TestDone keeps offsets in ranges as a set would.
func TestDone(t *testing.T) {
	const seed, most = 7, 60
	r := rand.New(rand.NewPCG(seed, seed))
	for range 300 {
		var d done
		want := map[int64]bool{}
		for range r.IntN(most) {
			o := r.Int64N(most)
			if !want[o] {
				d.add(o)
				want[o] = true
			}
		}
		start := r.Int64N(most)
		d.forget(start)
		for o := start; o < most; o++ {
			if d.has(o) != want[o] {
				t.Fatalf("seed %d: %d is in %v: %v, want %v", seed, o, d.Ranges, d.has(o), want[o])
			}
		}
		if !slices.IsSortedFunc(d.Ranges, func(a, b [2]int64) int { return int(a[1] + 2 - b[0]) }) {
			t.Fatalf("seed %d: ranges %v are not apart", seed, d.Ranges)
		}
	}
}

// TestRedriveInSteps redrives a few dead letters at a time: each step says where
// to go on, and going over the same place again produces nothing twice.
func TestRedriveInSteps(t *testing.T) {
	engine := memory.New()
	reg, err := registry.Open(t.Context(), registry.Config{Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	v := validate.New(validate.Config{Registry: reg})
	b := brokertest.New(t, brokertest.WithEngine(engine), brokertest.WithConfig(func(c *broker.Config) {
		c.Validate = wiring.Validation(v)
	}))
	n := &node{broker: b.Broker, validator: v, engine: engine, registry: reg}
	if _, err := b.Topics().Create(t.Context(), topic.Spec{Name: "orders", Partitions: 2, Configs: map[string]string{
		"tarn.value.schema.validation": "payload", "tarn.schema.on.invalid": "dlq",
	}}); err != nil {
		t.Fatal(err)
	}
	register := func(text string) {
		t.Helper()
		if _, err := reg.Register(t.Context(), "orders-value", registry.Request{Type: schema.JSON, Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	register(`{"type":"integer"}`)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr().String()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := range 10 {
		value := fmt.Sprintf(`"%d"`, i)
		if i == 4 {
			value = "null!"
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Partition: int32(i % 2), Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	register(`{"type":["integer","string"]}`)

	if r, err := n.redrive(t.Context(), "orders", redriveAsk{dry: true, limit: 100}); err != nil || r.Passed != 9 || r.Invalid != 1 || r.Next != "" {
		t.Fatalf("dry: %+v, %v", r, err)
	}
	var steps []string
	var from cursor
	for len(steps) < 10 {
		r, err := n.redrive(t.Context(), "orders", redriveAsk{limit: 3, from: from})
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, fmt.Sprintf("%d passed, %d bad, next %q", r.Passed, r.Invalid, r.Next))
		if r.Next == "" {
			break
		}
		if from, err = parseCursor(r.Next); err != nil {
			t.Fatal(err)
		}
	}
	want := `2 passed, 1 bad, next "0/3"; 3 passed, 0 bad, next "1/1"; 3 passed, 0 bad, next "1/4"; 1 passed, 0 bad, next ""`
	if got := strings.Join(steps, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r, err := n.redrive(t.Context(), "orders", redriveAsk{limit: 100}); err != nil || r.Passed != 0 || r.Invalid != 1 || r.Earlier != 9 {
		t.Errorf("again: %+v, %v", r, err)
	}
	for _, bad := range []string{"x", "1", "1/-2", "-1/2", "1/2/3"} {
		if c, err := parseCursor(bad); err == nil {
			t.Errorf("cursor %q is %v", bad, c)
		}
	}
}
