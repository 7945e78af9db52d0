package tarntest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/sink/tarntest"
)

const sale = `{"type":"record","name":"Sale","fields":[
	{"name":"id","type":"long"},
	{"name":"customer","type":["null","string"]},
	{"name":"paid","type":"boolean"},
	{"name":"price","type":"double"},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[{"name":"name","type":"string"},{"name":"n","type":"int"}]}}}]}`

// Sale is a value of the topic, and Item what it lists.
type Sale struct {
	ID       int64     `avro:"id" json:"id"`
	Customer *string   `avro:"customer" json:"customer"`
	Paid     bool      `avro:"paid" json:"paid"`
	Price    float64   `avro:"price" json:"price"`
	At       time.Time `avro:"at" json:"at"`
	Items    []Item    `avro:"items" json:"items"`
}

type Item struct {
	Name string `avro:"name" json:"name"`
	N    int    `avro:"n" json:"n"`
}

// produceSales is the code under test: a producer with values of a type.
func produceSales(t *testing.T, x *tarntest.Tarn, id int, sales ...Sale) {
	t.Helper()
	cl := x.Client(t)
	typed := avro.MustParse(sale)
	for _, s := range sales {
		payload, err := typed.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		r := &kgo.Record{Topic: "sales", Value: append([]byte{0, 0, 0, byte(id >> 8), byte(id)}, payload...)}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func sales(t *testing.T) (x *tarntest.Tarn, ada Sale) {
	t.Helper()
	x = tarntest.New(t)
	id := x.RegisterAvro(t, "sales-value", sale)
	x.Topic(t, "sales", 1, "tarn.table.formats=iceberg")
	name := "ada"
	ada = Sale{1<<60 + 1, &name, true, 2.5, time.Date(2026, 3, 1, 12, 0, 0, 7_000_000, time.UTC), []Item{{"pen", 2}}}
	produceSales(t, x, id, ada, Sale{ID: 2, Price: 3, At: ada.At.Add(time.Hour), Items: []Item{}}, Sale{ID: 2, Price: 4, At: ada.At, Items: []Item{}})
	return x, ada
}

// TestHas looks for what a producer has sent among the rows.
func TestHas(t *testing.T) {
	x, ada := sales(t)
	table := x.Table(t, "sales")
	table.Has(tarntest.Row{"id": ada.ID, "customer": "ada", "paid": true, "price": 2.5, "at": ada.At, "items": ada.Items, "kafka_offset": 0})
	table.Has(tarntest.Row{"id": 2}, tarntest.Row{"id": 2, "price": 3, "customer": nil, "paid": false, "items": []Item{}})
	table.Is(tarntest.Row{"price": 3}, tarntest.Row{"price": float32(4)}, tarntest.Row{"id": uint64(ada.ID)})
	if letters := table.DeadLetters(); len(letters) != 0 {
		t.Errorf("dead letters: %v", letters)
	}
}

// told is a test that is told what fails instead of failing.
type told struct {
	testing.TB
	errors []string
}

func (t *told) Helper() {}

func (t *told) Errorf(format string, args ...any) {
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}

// TestHasNot: what is not so fails, and says what there is.
func TestHasNot(t *testing.T) {
	x, ada := sales(t)
	if err := x.Client(t).ProduceSync(t.Context(), &kgo.Record{Topic: "sales", Value: []byte("no sale")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	off := &told{TB: t}
	table := x.Table(off, "sales")
	for _, c := range []struct {
		row  tarntest.Row
		only bool
	}{
		{tarntest.Row{"id": ada.ID - 1}, false}, // which is the same in 53 bits
		{tarntest.Row{"id": "2"}, false},
		{tarntest.Row{"customer": nil, "id": ada.ID}, false},
		{tarntest.Row{"customer": "", "id": 2}, false},
		{tarntest.Row{"paid": false, "id": ada.ID}, false},
		{tarntest.Row{"at": ada.At.Add(time.Millisecond), "id": ada.ID}, false},
		{tarntest.Row{"items": []Item{{"pen", 3}}}, false},
		{tarntest.Row{"items": []Item{{"pen", 2}, {"pen", 2}}}, false},
		{tarntest.Row{"price": 2.4}, false},
		{tarntest.Row{"pirce": 2.5}, false},
		{tarntest.Row{"id": ada.ID}, true},
	} {
		off.errors = nil
		if c.only {
			table.Is(c.row)
		} else {
			table.Has(c.row)
		}
		if len(off.errors) != 1 {
			t.Errorf("%v: %q, want one error", c.row, off.errors)
		}
	}
	off.errors = nil
	table.Has(tarntest.Row{"id": 2}, tarntest.Row{"id": 2}, tarntest.Row{"id": 2, "price": 5})
	text := strings.Join(off.errors, "\n")
	for _, want := range []string{"3 rows, 1 of the 3 wanted", "\nnot there:\n  id=2 price=5", "\n  id=2 price=4 kafka_partition=0 kafka_offset=2", "\ndead letters:\n  reason="} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in what is said:\n%s", want, text)
		}
	}
	if got := table.DeadLetters(); len(got) != 1 || got[0]["kafka_offset"] != int64(3) {
		t.Errorf("dead letters: %v", got)
	}
}
