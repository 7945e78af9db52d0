package api

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// traffic counts what went in and out, by topic. The zero value is ready; topics that
// are gone go with the next look.
type traffic struct {
	topics sync.Map // storage.TopicID → *topicTraffic
}

type topicTraffic struct {
	inBytes, inRecords, outBytes, outRecords atomic.Int64
}

func (t *traffic) of(id storage.TopicID) *topicTraffic {
	if one, ok := t.topics.Load(id); ok {
		return one.(*topicTraffic)
	}
	one, _ := t.topics.LoadOrStore(id, new(topicTraffic))
	return one.(*topicTraffic)
}

// TopicTraffic is what went in and out of a topic since the start: what was
// acknowledged, and what fetches and share fetches of clients were given.
type TopicTraffic struct {
	Topic                string
	InBytes, InRecords   int64
	OutBytes, OutRecords int64
}

// Traffic lists the topics that had any, by name. Safe for concurrent use.
func (h *Handlers) Traffic() []TopicTraffic {
	view := h.cfg.Topics.View()
	var out []TopicTraffic
	h.traffic.topics.Range(func(id, one any) bool {
		t := view.ByID(id.(storage.TopicID))
		if t == nil {
			h.traffic.topics.Delete(id)
			return true
		}
		c := one.(*topicTraffic)
		out = append(out, TopicTraffic{
			Topic: t.Name, InBytes: c.inBytes.Load(), InRecords: c.inRecords.Load(),
			OutBytes: c.outBytes.Load(), OutRecords: c.outRecords.Load(),
		})
		return true
	})
	slices.SortFunc(out, func(a, b TopicTraffic) int { return cmp.Compare(a.Topic, b.Topic) })
	return out
}

// in counts what was acknowledged.
func (t *topicTraffic) in(bytes int, records int32) {
	t.inBytes.Add(int64(bytes))
	t.inRecords.Add(int64(records))
}

// out counts batches that are answered; message sets of old clients count bytes only.
func (t *topicTraffic) out(b []byte) {
	if len(b) == 0 {
		return
	}
	t.outBytes.Add(int64(len(b)))
	for batch, err := range record.Batches(b) {
		if err != nil {
			return
		}
		if !batch.Header.Control() {
			t.outRecords.Add(int64(batch.Header.Count))
		}
	}
}

// maxErrorsLooked bounds how many parts of an answer are looked at for an error.
const maxErrorsLooked = 256

// FirstError is the first error code in an answer: its own, or that of the first of
// its parts which has one. Parts beyond some hundreds are not looked at.
func FirstError(resp kmsg.Response) wire.Code {
	switch r := resp.(type) {
	case *kmsg.ProduceResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if c := r.Topics[i].Partitions[j].ErrorCode; c != 0 {
					return wire.Code(c)
				}
			}
		}
		return wire.None
	case *kmsg.FetchResponse:
		if r.ErrorCode != 0 {
			return wire.Code(r.ErrorCode)
		}
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if c := r.Topics[i].Partitions[j].ErrorCode; c != 0 {
					return wire.Code(c)
				}
			}
		}
		return wire.None
	}
	left := maxErrorsLooked
	return firstError(reflect.ValueOf(resp).Elem(), &left)
}

// firstError looks at a struct of an answer and at the lists of structs in it.
func firstError(v reflect.Value, left *int) wire.Code {
	if *left--; *left < 0 {
		return wire.None
	}
	if c := v.FieldByName("ErrorCode"); c.IsValid() && c.Kind() == reflect.Int16 && c.Int() != 0 {
		return wire.Code(c.Int())
	}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() != reflect.Slice || f.Type().Elem().Kind() != reflect.Struct {
			continue
		}
		for j := range f.Len() {
			if c := firstError(f.Index(j), left); c != wire.None || *left < 0 {
				return c
			}
		}
	}
	return wire.None
}
