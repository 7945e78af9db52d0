package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
	"github.com/tarn-io/tarn/schema/sample"
)

// Limits of a look at a topic's records.
const (
	// inferRecords is how many are looked at if nobody asks for another number,
	// maxInferRecords the most: an answer takes a second or so.
	inferRecords    = 1000
	maxInferRecords = 100_000
	// inferRead is how much of a partition is read in one step, inferBytes how much
	// of all of them together.
	inferRead  = 1 << 20
	inferBytes = 64 << 20
	// inferUnpacked bounds one decompressed batch, as the sink's reads do.
	inferUnpacked = 128 << 20
)

// errInfer refuses to propose a schema.
var errInfer = errors.New("no schema can be proposed")

// errEnoughSeen ends the reading of a partition.
var errEnoughSeen = errors.New("enough records were seen")

// inferAsk is what a proposal is to be made from, and how.
type inferAsk struct {
	records int
	key     bool
	avro    bool
	closed  bool
}

// inferred is a schema proposed from a topic's records.
type inferred struct {
	Topic string      `json:"topic"`
	Part  string      `json:"part"`
	Type  schema.Type `json:"schemaType"`
	// Schema is the text. Of JSON Schema, Fit says how many of the records it takes,
	// and the first that it does not take says why in Misfit.
	Schema  string `json:"schema"`
	Records int    `json:"records"` // JSON documents that were looked at
	Fit     int    `json:"fit,omitempty"`
	Misfit  string `json:"misfit,omitempty"`
	// NotJSON counts records that are none, Null those without a value.
	NotJSON int `json:"not_json"`
	Null    int `json:"null"`
	// Subject is where the topic looks for the schema; "" if that is by the names of
	// records.
	Subject string `json:"subject,omitempty"`
	// NotTable says why the proposal has no table form; "" if it has one.
	NotTable string `json:"no_table_form,omitempty"`
}

// inferAPI proposes a schema from ?records= of a topic's newest records.
func (n *node) inferAPI(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	ask := inferAsk{records: inferRecords, key: q.Get("part") == "key", avro: q.Get("format") == "avro", closed: q.Get("closed") == "true"}
	if word := q.Get("records"); word != "" {
		var err error
		if ask.records, err = strconv.Atoi(word); err != nil || ask.records < 1 || ask.records > maxInferRecords {
			answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: fmt.Sprintf("records %q is not a number from 1 to %d", word, maxInferRecords)})
			return
		}
	}
	out, err := n.infer(r.Context(), r.PathValue("topic"), ask)
	if errors.Is(err, errInfer) {
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: err.Error()})
		return
	}
	reply(w)(out, err)
}

// infer looks at the newest records of a topic, as many of each partition, and
// proposes a schema that they fit. Records of aborted transactions do not count.
func (n *node) infer(ctx context.Context, name string, ask inferAsk) (inferred, error) {
	t := n.broker.Topics().View().ByName(name)
	if t == nil {
		return inferred{}, fmt.Errorf("%w: no topic %q", errInfer, name)
	}
	s := sampler{node: n, topic: t, ask: ask, out: inferred{Topic: name, Part: "value", Type: schema.JSON}}
	if ask.key {
		s.out.Part = "key"
	}
	s.out.Subject = schemaOfTopic(n.registry, t, s.out.Part).subject
	for p := range t.Partitions {
		if err := s.partition(ctx, storage.TP{Topic: t.ID, Partition: p}); err != nil {
			return inferred{}, fmt.Errorf("partition %d of %q: %w", p, name, err)
		}
	}
	if s.docs.Count() == 0 {
		return inferred{}, fmt.Errorf("%w: the %s of %q hold no JSON (%d records are none, %d are null)", errInfer, s.out.Part+"s", name, s.out.NotJSON, s.out.Null)
	}
	s.propose()
	return s.out, nil
}

// sampler collects documents.
type sampler struct {
	*node
	topic *topic.Topic
	ask   inferAsk
	docs  sample.Documents
	texts [][]byte // of docs
	bytes int
	out   inferred
}

// partition looks at the newest records of one partition: its share of those that
// were asked for.
func (s *sampler) partition(ctx context.Context, tp storage.TP) error {
	log, err := s.broker.Logs().Log(ctx, tp)
	if err != nil {
		return err
	}
	start, _ := log.Bounds()
	end := log.LastStable()
	share := max(1, s.ask.records/int(s.topic.Partitions))
	at := max(start, end-int64(share)) // compacted logs have fewer there, which is fine
	aborted := log.Aborted(at).Below(end)
	for at < end {
		b, err := log.Read(ctx, at, inferRead, end)
		if err != nil || len(b) == 0 {
			return err
		}
		for h, one := range storage.Batches(b) {
			if h.LastOffset() >= at && !h.Control() && !aborted.Holds(h) {
				if err := s.batch(one, at); errors.Is(err, errEnoughSeen) {
					return nil
				} else if err != nil {
					return err
				}
			}
			at = max(at, h.LastOffset()+1)
		}
	}
	return nil
}

// batch looks at the records of a batch from an offset on.
func (s *sampler) batch(b []byte, from int64) error {
	var rd record.Reader
	if err := rd.Reset(b, inferUnpacked); err != nil {
		return err
	}
	for rd.Next() {
		rec := rd.Record()
		if rec.Offset < from {
			continue
		}
		value := rec.Value
		if s.ask.key {
			value = rec.Key
		}
		if value == nil {
			s.out.Null++
			continue
		}
		if s.bytes+len(value) > inferBytes || s.docs.Count() >= s.ask.records {
			return errEnoughSeen
		}
		s.document(value)
	}
	return rd.Err()
}

// document looks at one payload, behind Confluent's prefix if it has one.
func (s *sampler) document(value []byte) {
	if f, err := schema.ParseFrame(value, nil, false); err == nil {
		value = f.Payload
	}
	if s.docs.Add(value) != nil {
		s.out.NotJSON++
		return
	}
	s.bytes += len(value)
	s.texts = append(s.texts, append([]byte(nil), value...))
}

// propose writes the schema, and holds the records to it.
func (s *sampler) propose() {
	s.out.Records = s.docs.Count()
	if s.ask.avro {
		s.out.Type, s.out.Schema = schema.Avro, s.docs.Avro(s.topic.Name)
	} else {
		s.out.Schema = s.docs.JSONSchema(s.ask.closed)
	}
	parsed, err := language.Parse(schema.Source{Type: s.out.Type, Text: s.out.Schema})
	if err != nil {
		s.out.NotTable = err.Error()
		return
	}
	d, err := parsed.Decoder(nil)
	if err != nil {
		s.out.NotTable = err.Error()
		return
	}
	if s.ask.avro {
		return // it is for data that will be written in Avro
	}
	for _, text := range s.texts {
		if err := d.Validate(text); err == nil {
			s.out.Fit++
		} else if s.out.Misfit == "" {
			s.out.Misfit = err.Error()
		}
	}
}
