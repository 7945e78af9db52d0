package sink_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/sink"
)

// Versions of a record whose fields are renamed, at the top and nested, twice.
const (
	namesV1 = `{"type":"record","name":"P","fields":[{"name":"id","type":"int"},{"name":"name","type":"string"},
		{"name":"at","type":{"type":"record","name":"A","fields":[{"name":"city","type":"string"}]}}]}`
	namesV2 = `{"type":"record","name":"P","fields":[{"name":"at","type":{"type":"record","name":"A","fields":[{"name":"town","type":"string","aliases":["city"]}]}},
		{"name":"id","type":"long"},{"name":"title","type":"string","aliases":["name"]}]}`
	namesV3 = `{"type":"record","name":"P","fields":[{"name":"place","aliases":["at"],"type":{"type":"record","name":"A","fields":[{"name":"town","type":"string","aliases":["city"]}]}},
		{"name":"id","type":"long"},{"name":"label","type":"string","aliases":["title"]},{"name":"rank","type":"int","default":7}]}`
)

// The same person by each version.
var namesBodies = []string{"\x02\x04Bo\x06Ulm", "\x06Ulm\x02\x04Bo", "\x06Ulm\x02\x04Bo\x12"}

// rowsOf are the rows of all Parquet files by offset, without Kafka's columns and
// nulls.
func (w *world) rowsOf() map[string]string {
	w.t.Helper()
	rows := map[string]map[string]any{}
	t, ok := w.t.(*testing.T)
	if !ok {
		w.t.Fatal("only in a test")
	}
	for info, err := range w.store.List(t.Context(), "default/orders/parquet/data-") {
		if err != nil {
			t.Fatal(err)
		}
		w.readRows(t, info.Key, rows)
	}
	out := map[string]string{}
	for id, row := range rows {
		for name, v := range row {
			if strings.HasPrefix(name, "kafka_") || v == nil {
				delete(row, name)
			}
		}
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		out[id] = string(text)
	}
	return out
}

// wantRows expects rows by their offsets in partition 0; "" is none.
func (w *world) wantRows(want ...string) {
	w.t.Helper()
	got := w.rowsOf()
	for i, row := range want {
		if id := fmt.Sprint("0/", i); got[id] != row {
			w.t.Errorf("offset %d: got %s, want %s", i, got[id], row)
		}
	}
}

// TestRenamed renames fields by aliases: they keep their columns, whichever
// version a record is of and a table was made of.
func TestRenamed(t *testing.T) {
	t.Run("table of the first version", func(t *testing.T) {
		w := newWorld(t)
		v1 := w.register("orders-value", namesV1)
		w.run()
		w.produce(0, prefixed(v1, []byte(namesBodies[0])))
		w.verify(1, 0)
		v2 := w.register("orders-value", namesV2)
		w.produce(0, prefixed(v2, []byte(namesBodies[1])), prefixed(v1, []byte(namesBodies[0])))
		w.verify(3, 0)
		w.halt()
		v3 := w.register("orders-value", namesV3)
		w.run()
		w.produce(0, prefixed(v3, []byte(namesBodies[2])), prefixed(v1, []byte(namesBodies[0])), prefixed(v2, []byte(namesBodies[1])))
		w.verify(6, 0)
		one := `{"at":{"city":"Ulm"},"id":1,"name":"Bo"}`
		w.wantRows(one, one, one, `{"at":{"city":"Ulm"},"id":1,"name":"Bo","rank":9}`, one, one)
	})
	t.Run("table of the last version", func(t *testing.T) {
		w := newWorld(t)
		var ids []int
		for _, text := range []string{namesV1, namesV2, namesV3} {
			ids = append(ids, w.register("orders-value", text))
		}
		w.run()
		for i, id := range ids {
			w.produce(0, prefixed(id, []byte(namesBodies[i])))
		}
		w.verify(3, 0)
		one := `{"id":1,"label":"Bo","place":{"town":"Ulm"}}`
		w.wantRows(one, one, `{"id":1,"label":"Bo","place":{"town":"Ulm"},"rank":9}`)
	})
}

// TestVersionOfRows resolves values to one version of their schema.
func TestVersionOfRows(t *testing.T) {
	bodies := func(w *world) (all [][]byte) {
		for i, text := range []string{namesV1, namesV2, namesV3} {
			all = append(all, prefixed(w.register("orders-value", text), []byte(namesBodies[i])))
		}
		return all
	}
	t.Run("latest", func(t *testing.T) {
		w := newWorld(t)
		w.topics[0].ValueVersion = sink.LatestVersion
		all := bodies(w)
		w.run()
		w.produce(0, all...)
		// The third version has the name of the second one's field as an alias, and
		// not that of the first one's: there it lacks a field without a default.
		w.verify(2, 1)
		row := `{"id":1,"label":"Bo","place":{"town":"Ulm"},"rank":%d}`
		w.wantRows("", fmt.Sprintf(row, 7), fmt.Sprintf(row, 9))
	})
	t.Run("by number", func(t *testing.T) {
		w := newWorld(t)
		w.topics[0].ValueVersion = 2
		all := bodies(w)
		w.run()
		w.produce(0, all[:2]...)
		w.verify(2, 0)
		w.wantRows(`{"at":{"town":"Ulm"},"id":1,"title":"Bo"}`, `{"at":{"town":"Ulm"},"id":1,"title":"Bo"}`)
	})
	t.Run("a version that is to come", func(t *testing.T) {
		w := newWorld(t)
		w.topics[0].ValueVersion = 2
		v1 := w.register("orders-value", namesV1)
		w.run()
		w.produce(0, prefixed(v1, []byte(namesBodies[0])))
		if s := w.state(sink.WaitingForSchema); !strings.Contains(s.Message, "version 2 of subject orders-value") {
			t.Errorf("message %q", s.Message)
		}
		w.register("orders-value", namesV2)
		w.verify(1, 0)
		w.wantRows(`{"at":{"town":"Ulm"},"id":1,"title":"Bo"}`)
	})
	t.Run("a version that is to come to a table that is there", func(t *testing.T) {
		w := newWorld(t)
		v1 := w.register("orders-value", namesV1)
		w.run()
		w.produce(0, prefixed(v1, []byte(namesBodies[0])))
		w.verify(1, 0)
		w.halt()
		w.topics[0].ValueVersion = 2
		w.run()
		w.produce(0, prefixed(v1, []byte(namesBodies[0])))
		if s := w.state(sink.WaitingForSchema); !strings.Contains(s.Message, "version 2 of subject orders-value") {
			t.Errorf("message %q", s.Message)
		}
		w.register("orders-value", namesV2)
		w.verify(2, 0)
		one := `{"at":{"city":"Ulm"},"id":1,"name":"Bo"}`
		w.wantRows(one, one)
	})
}

// TestByRecord makes tables of the first record that names its schema, where
// subjects go by records' names; later ones bring columns of their own.
func TestByRecord(t *testing.T) {
	w := newWorld(t)
	w.topics[0].ValueByRecord = true
	order := w.register("shop.Order", `{"type":"record","name":"shop.Order","fields":[{"name":"id","type":"int"}]}`)
	person := w.register("shop.Person", `{"type":"record","name":"shop.Person","fields":[{"name":"name","type":"string"}]}`)
	w.run()
	if s := w.state(sink.WaitingForSchema); !strings.Contains(s.Message, "by the names of records") {
		t.Errorf("it says %q", s.Message)
	}
	w.produce(0, []byte("no schema"), prefixed(order, []byte("\x02more than it takes")))
	w.produce(0, prefixed(order, []byte("\x02")), prefixed(person, []byte("\x04Bo")))
	w.verify(2, 2)
	w.wantRows("", "", `{"id":1}`, `{"name":"Bo"}`)
	w.halt()
	w.run()
	w.produce(0, prefixed(person, []byte("\x04Al")))
	w.verify(3, 2)
	w.wantRows("", "", `{"id":1}`, `{"name":"Bo"}`, `{"name":"Al"}`)
}

// TestByRecordUnwrapped: of change envelopes the first one that is one counts.
func TestByRecordUnwrapped(t *testing.T) {
	w := newWorld(t)
	w.topics[0].ValueByRecord, w.topics[0].Unwrap = true, sink.Debezium
	other := w.register("shop.Order", `{"type":"record","name":"shop.Order","fields":[{"name":"id","type":"int"}]}`)
	changes := w.register("shop.customers.Envelope", envelope(""))
	w.run()
	w.produce(0, prefixed(other, []byte("\x02")), change(changes, "c", image{}, image{id: 7, item: "cup"}))
	w.verify(1, 1)
	if got := w.cells("parquet", "id", "item"); got[1] != "7 cup" {
		t.Errorf("rows %v", got)
	}
}
