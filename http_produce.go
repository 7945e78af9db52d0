package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/fake"
	"github.com/tarn-io/tarn/sink/wiring"
)

// maxDraft bounds a record that is produced over HTTP.
const maxDraft = 8 << 20

// draftPart is a key or value as somebody writes it.
type draftPart struct {
	// Form is schema (JSON, encoded by the newest schema of the subject), text, or
	// base64; "" is schema where there is one, else text. null is no bytes at all.
	Form string `json:"form,omitempty"`
	Text string `json:"text"`
}

// draft is a record as somebody writes it. An absent key or value is null.
type draft struct {
	Partition *int32        `json:"partition,omitempty"`
	Key       *draftPart    `json:"key"`
	Value     *draftPart    `json:"value"`
	Headers   []draftHeader `json:"headers,omitempty"`
}

type draftHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// draftVerdict is what the broker's validator says of a draft.
type draftVerdict struct {
	OK       bool   `json:"ok"`
	Part     string `json:"part,omitempty"`
	Message  string `json:"message,omitempty"`
	Path     string `json:"path,omitempty"`
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`
	// KeyBytes and ValueBytes are what would be sent.
	KeyBytes   int `json:"key_bytes"`
	ValueBytes int `json:"value_bytes"`
	// Monitored says that it does not fit and would be taken all the same.
	Monitored bool `json:"monitored,omitempty"`
}

// draftError is refused: a part cannot be encoded.
type draftError struct {
	part string
	err  error
}

func (e *draftError) Error() string { return e.part + " " + e.err.Error() }

func (e *draftError) Unwrap() error { return e.err }

// encodeDraft makes the record that a draft means.
func (n *node) encodeDraft(ctx context.Context, r *http.Request, t *topic.Topic, d *draft) (*kgo.Record, error) {
	reg, err := n.localRegistry(r)
	if err != nil {
		return nil, err
	}
	p := newPayloads(reg)
	rec := &kgo.Record{Topic: t.Name, Timestamp: time.Now()}
	if rec.Key, err = n.encodePart(ctx, p, t, "key", d.Key); err != nil {
		return nil, &draftError{"key", err}
	}
	if rec.Value, err = n.encodePart(ctx, p, t, "value", d.Value); err != nil {
		return nil, &draftError{"value", err}
	}
	for _, h := range d.Headers {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	return rec, nil
}

func (n *node) encodePart(ctx context.Context, p *payloads, t *topic.Topic, part string, d *draftPart) ([]byte, error) {
	if d == nil || d.Form == "null" {
		return nil, nil
	}
	by := n.draftSchema(t, part)
	form := d.Form
	if form == "" {
		form = "text"
		if _, ok := n.registry.Latest(by.subject); ok {
			form = "schema"
		}
	}
	switch form {
	case "text":
		return []byte(d.Text), nil
	case "base64":
		b, err := base64.StdEncoding.DecodeString(d.Text)
		if err != nil {
			return nil, fmt.Errorf("is not base64: %w", err)
		}
		return b, nil
	case "schema":
		if err := checkJSON(d.Text); err != nil {
			return nil, err
		}
		return p.encode(ctx, by, json.RawMessage(d.Text))
	}
	return nil, fmt.Errorf("has form %q: schema, text, base64 or null", d.Form)
}

// checkJSON says where a text is no JSON.
func checkJSON(text string) error {
	var v json.RawMessage
	err := json.Unmarshal([]byte(text), &v)
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := text[:min(int(bad.Offset), len(text))]
		line := 1 + bytes.Count([]byte(before), []byte("\n"))
		return fmt.Errorf("is not JSON: line %d: %w", line, err)
	}
	if err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	return nil
}

// readDraft reads the topic and the draft of a request; nil means that it has been
// answered.
func (n *node) readDraft(w http.ResponseWriter, r *http.Request, d *draft) *topic.Topic {
	t := n.topicFor(w, r, acl.Write)
	if t == nil || !readJSON(w, r, maxDraft, d) {
		return nil
	}
	return t
}

// checkDraft says what the broker would say of a record, without counting it among the
// topic's rejections.
func (n *node) checkDraft(w http.ResponseWriter, r *http.Request) {
	var d draft
	t := n.readDraft(w, r, &d)
	if t == nil {
		return
	}
	rec, err := n.encodeDraft(r.Context(), r, t, &d)
	if bad, ok := errors.AsType[*draftError](err); ok {
		answer(w, http.StatusOK, draftVerdict{Part: bad.part, Message: bad.err.Error()})
		return
	}
	if err != nil {
		refuseKafka(w, err)
		return
	}
	verdict, err := n.judgeDraft(t, rec)
	if err != nil {
		refuseKafka(w, err)
		return
	}
	answer(w, http.StatusOK, verdict)
}

// judgeDraft holds a record to the topic's schemas by a validator of its own.
func (n *node) judgeDraft(t *topic.Topic, rec *kgo.Record) (draftVerdict, error) {
	out := draftVerdict{OK: true, KeyBytes: len(rec.Key), ValueBytes: len(rec.Value)}
	b := record.NewBuilder(record.Options{})
	headers := make([]record.RecordHeader, len(rec.Headers))
	for i, h := range rec.Headers {
		headers[i] = record.RecordHeader{Key: h.Key, Value: h.Value}
	}
	b.Append(rec.Timestamp.UnixMilli(), rec.Key, rec.Value, headers...)
	batch, err := b.Bytes()
	if err != nil {
		return out, fmt.Errorf("build the batch: %w", err)
	}
	var rd record.Reader
	if err := rd.Reset(batch, maxUnpackedBatch); err != nil {
		return out, fmt.Errorf("read the batch: %w", err)
	}
	v := validate.New(validate.Config{Registry: n.registry, Ring: 1})
	refused, err := v.Check(wiring.Rules(t, 1), &rd, validate.Origin{})
	if err != nil {
		return out, err
	}
	for _, seen := range v.Rejections(t.Name, t.ID) {
		refused = []validate.Refusal{seen.Refusal}
	}
	if len(refused) == 0 {
		return out, nil
	}
	bad := &refused[0]
	out.OK, out.Monitored = bad.Monitored, bad.Monitored
	out.Part, out.Message, out.Path, out.Expected, out.Found = bad.Part, bad.Message(), bad.Path, bad.Expected, bad.Found
	return out, nil
}

// produced is where a record went.
type produced struct {
	Partition   int32 `json:"partition"`
	Offset      int64 `json:"offset"`
	TimestampMs int64 `json:"timestamp_ms"`
}

// produceOne produces a record as any client does, in the name of whoever asks.
func (n *node) produceOne(w http.ResponseWriter, r *http.Request) {
	var d draft
	t := n.readDraft(w, r, &d)
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), insideTimeout)
	defer cancel()
	rec, err := n.encodeDraft(ctx, r, t, &d)
	if bad, ok := errors.AsType[*draftError](err); ok {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: bad.Error()})
		return
	}
	if err != nil {
		refuseKafka(w, err)
		return
	}
	var opts []kgo.Opt
	if d.Partition != nil {
		if rec.Partition = *d.Partition; rec.Partition < 0 || rec.Partition >= t.Partitions {
			answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: fmt.Sprintf("partition %d: there are 0 to %d", rec.Partition, t.Partitions-1)})
			return
		}
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	cl, err := n.inside(ctx, r, opts...)
	if err != nil {
		refuseKafka(w, err)
		return
	}
	defer cl.Close()
	got, err := cl.ProduceSync(ctx, rec).First()
	if err != nil {
		// The client drops what the broker says of a record; the validator says it again.
		if why, e := n.judgeDraft(t, rec); e == nil && !why.OK {
			err = fmt.Errorf("%w: %s", err, why.Message)
		}
		refuseKafka(w, err)
		return
	}
	answer(w, http.StatusOK, produced{got.Partition, got.Offset, got.Timestamp.UnixMilli()})
}

// draftStart is what a form begins with.
type draftStart struct {
	Key   draftField `json:"key"`
	Value draftField `json:"value"`
}

// draftField is a part of it. Subject, Version and Type are absent without a schema.
type draftField struct {
	Subject string `json:"subject,omitempty"`
	Version int    `json:"version,omitempty"`
	ID      int    `json:"schema_id,omitempty"`
	Type    string `json:"type,omitempty"`
	Text    string `json:"text"`
	// From says what the text is: schema, a document that it accepts.
	From string `json:"from,omitempty"`
	// Error says why there is no template.
	Error string `json:"error,omitempty"`
}

// draftTemplate answers texts for a form: documents that the newest schemas accept.
func (n *node) draftTemplate(w http.ResponseWriter, r *http.Request) {
	t := n.topicFor(w, r, acl.Describe)
	if t == nil {
		return
	}
	reg, err := n.localRegistry(r)
	if err != nil {
		refuseKafka(w, err)
		return
	}
	p := newPayloads(reg)
	answer(w, http.StatusOK, draftStart{Key: n.templateOf(r.Context(), p, t, "key"), Value: n.templateOf(r.Context(), p, t, "value")})
}

// templateOf makes a document for a part; what keeps it from that stands in Error.
func (n *node) templateOf(ctx context.Context, p *payloads, t *topic.Topic, part string) draftField {
	by := n.draftSchema(t, part)
	if by.err != nil {
		return draftField{Error: by.err.Error()}
	}
	if _, ok := n.registry.Latest(by.subject); !ok {
		return draftField{}
	}
	got, err := p.registry.SchemaByVersion(ctx, by.subject, -1)
	if err != nil {
		return draftField{Error: err.Error()}
	}
	out := draftField{Subject: got.Subject, Version: got.Version, ID: got.ID, Type: got.Type.String(), From: "schema"}
	in, _ := registry.Split(by.subject)
	refs, err := p.references(ctx, in, got.Schema, map[string]bool{})
	if err != nil {
		out.Error = err.Error()
		return out
	}
	g, err := fake.New(schema.Source{Type: schema.Type(got.Type.String()), Text: got.Schema.Schema, References: refs, Lax: true},
		fake.Options{Message: by.message, Seed: uint64(time.Now().UnixNano())})
	if err != nil {
		out.Error = err.Error()
		return out
	}
	text, err := g.Next()
	if err != nil {
		out.Error = err.Error()
	}
	out.Text = string(text)
	return out
}
