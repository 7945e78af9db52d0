package txn

import (
	"errors"
	"reflect"
	"testing"

	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/storage"
)

func TestItem(t *testing.T) {
	m := newTxn()
	m.producerID, m.epoch, m.timeoutMs = 7, 3, 1000
	m = m.add(7, 3, []storage.TP{tp1, tp2}, "g/1", 5).next
	m = m.commitOffsets(7, 3, "g/1", []group.TxnOffset{{Topic: tp1.Topic, Partition: 1, Offset: 9, LeaderEpoch: -1, Metadata: "m"}}, false, 6).next
	it, err := m.encode("a/b", 4)
	if err != nil {
		t.Fatal(err)
	}
	id, got, err := decode(it)
	if err != nil || id != "a/b" || !reflect.DeepEqual(got, m) {
		t.Errorf("got %q %+v, %v; want %+v", id, got, err, m)
	}
	for _, v := range []string{
		"", "{}", `{"producer_id":-1,"epoch":0,"state":"Empty"}`, `{"producer_id":1,"state":"Odd"}`,
		`{"producer_id":1,"state":"Ongoing","partitions":{"zz":[1]}}`,
		`{"producer_id":1,"state":"Ongoing","groups":{"g":[{"topic":"12"}]}}`,
	} {
		if _, _, err := decode(storage.Item{Key: keyTxn + "x", Value: []byte(v)}); v != "{}" && !errors.Is(err, storage.ErrBroken) {
			t.Errorf("%s: got %v, want ErrBroken", v, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"producer_id":1,"epoch":2,"state":"Ongoing","partitions":{"01000000000000000000000000000000":[0,1]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, m, err := decode(storage.Item{Key: keyTxn + "x", Value: b})
		if err != nil {
			return
		}
		it, err := m.encode(id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, again, err := decode(it); err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%s became %+v and then %+v, %v", b, m, again, err)
		}
	})
}
