package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

// large is a store with many subjects of ten versions, written as registrations
// write it.
func large(t testing.TB, subjects int) storage.Engine {
	t.Helper()
	const versions = 10
	e := memory.New()
	k := keysOf(DefaultContext)
	id := 0
	var w storage.Write
	for s := range subjects {
		var sub subjectItem
		for v := 1; v <= versions; v++ {
			id++
			text := fmt.Sprintf(`{"type":"record","name":"Order%d","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"f%d","type":"string","default":""}]}`, s, v)
			w.Set = append(w.Set, set(k.schema(id), 0, schemaItem{Type: schema.Avro, Text: text}))
			sub.Versions = append(sub.Versions, versionItem{Version: v, ID: id, CreatedMs: 1000})
		}
		w.Set = append(w.Set, set(k.subject(fmt.Sprintf("topic-%d-value", s)), 0, sub))
	}
	w.Set = append(w.Set, set(k.next(), 0, nextItem{Next: id + 1}))
	if err := e.Commit(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	return e
}

func BenchmarkScale(b *testing.B) {
	e := large(b, 10_000)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			open(b, e)
		}
	})
	r := open(b, e)
	text := `{"type":"record","name":"Order7777","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"f5","type":"string","default":""}]}`
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			r.Subjects("", Alive)
		}
	})
	b.Run("look up", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.Lookup(b.Context(), "topic-7777-value", avro(text), false); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("uses of an id", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.Uses(50_000, "", Alive); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("referenced by", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.ReferencedBy("topic-7777-value", 1, false); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list of schemas", func(b *testing.B) {
		for b.Loop() {
			r.List("", Alive, true)
		}
	})
	n := 0
	b.Run("register", func(b *testing.B) {
		for b.Loop() {
			n++
			if _, err := r.Register(b.Context(), fmt.Sprint("new", n, time.Now().UnixNano()), avro(fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["A"]}`, time.Now().UnixNano()))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("delete", func(b *testing.B) {
		n := 0
		for b.Loop() {
			if _, err := r.DeleteVersion(b.Context(), fmt.Sprintf("topic-%d-value", n%10_000), Latest, false); err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
}
