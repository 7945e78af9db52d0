package query

import (
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// TestKeySearch notes two blocks and asks for keys in them: a block that is not known or
// has a key with the prefix of a schema has to be read.
func TestKeySearch(t *testing.T) {
	e := &Engine{blocks: newBlocks(4, 1<<20)}
	tp := storage.TP{Partition: 3}
	s := e.KeySearch([]byte("a"))
	if _, ok := s.Without(tp, 20); ok {
		t.Error("a block that nobody has read is passed over")
	}
	s.Begin(tp, 16)
	s.Batch(record.Header{BaseOffset: 16, LastOffsetDelta: 31}, 16)
	for o := int64(16); o < 48; o++ {
		rec := &record.Record{Offset: o, Timestamp: 100 + o, Key: []byte("a")}
		if o >= 32 {
			rec.Key = []byte("b")
		}
		s.Add(rec)
	}
	s.End(48)
	if from, to := s.Block(20); from != 16 || to != 32 {
		t.Errorf("block of 20: %d to %d", from, to)
	}
	if _, ok := s.Without(tp, 20); ok {
		t.Error("a block with the key is passed over")
	}
	if ms, ok := s.Without(tp, 47); !ok || ms != [2]int64{132, 147} {
		t.Errorf("a block without it: %v %v", ms, ok)
	}
	if _, ok := e.KeySearch([]byte("b")).Without(tp, 20); !ok {
		t.Error("another search knows nothing of it")
	}
	if _, ok := s.Without(storage.TP{Partition: 4}, 47); ok {
		t.Error("another partition is passed over")
	}
	s.Begin(tp, 32)
	s.Batch(record.Header{BaseOffset: 32, LastOffsetDelta: 15}, 32)
	s.Add(&record.Record{Offset: 32, Key: []byte{0, 0, 0, 0, 1, 'a'}})
	s.End(48)
	if _, ok := s.Without(tp, 40); ok {
		t.Error("a block whose keys have a schema is passed over")
	}
}
