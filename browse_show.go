package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/schema"
)

// Limits of what is shown of one key or value, in bytes of text.
const (
	maxShown = 32 << 10
	// maxShownFull is for who asks for all of a few records.
	maxShownFull = 16 << 20
	// hexShown is how many bytes are shown of what cannot be read.
	hexShown = 48
)

// shownPart is a key or value as it is shown. Its text is never a part of the JSON
// around it: numbers of 64 bits would not survive a browser.
type shownPart struct {
	// Form is null, json, text or bytes; with a schema that read it, json.
	Form string `json:"form"`
	Text string `json:"text"`
	// SchemaID is the schema that it names, 0: none.
	SchemaID int `json:"schema_id,omitempty"`
	// Reason says why it is not decoded by the schema that it names, and Wire begins
	// with its bytes in hexadecimal.
	Reason string `json:"reason,omitempty"`
	Wire   string `json:"wire,omitempty"`
	Bytes  int    `json:"bytes"`
	// Cut says that text is only the beginning.
	Cut bool `json:"cut,omitempty"`
}

// shownHeader is a header as it is shown.
type shownHeader struct {
	Key  string `json:"key"`
	Form string `json:"form"`
	Text string `json:"text"`
}

// shownRecord is a record as it is shown.
type shownRecord struct {
	Partition     int32         `json:"partition"`
	Offset        int64         `json:"offset"`
	TimestampMs   int64         `json:"timestamp_ms"`
	Key           shownPart     `json:"key"`
	Value         shownPart     `json:"value"`
	Headers       []shownHeader `json:"headers"`
	Transactional bool          `json:"transactional,omitempty"`
}

// contains searches key, value and headers for a text in lower case.
func (s *shownRecord) contains(text string) bool {
	if strings.Contains(strings.ToLower(s.Key.Text), text) || strings.Contains(strings.ToLower(s.Value.Text), text) {
		return true
	}
	for _, h := range s.Headers {
		if strings.Contains(strings.ToLower(h.Key), text) || strings.Contains(strings.ToLower(h.Text), text) {
			return true
		}
	}
	return false
}

// display decodes records of a topic for a request. One goroutine at a time.
type display struct {
	p        *payloads
	maxBytes int
}

// newDisplay makes a display; schemas are read in the name of whoever asks.
func (n *node) newDisplay(r *http.Request, t *topic.Topic, full bool) (*display, error) {
	reg, err := n.localRegistry(r)
	if err != nil {
		return nil, err
	}
	d := &display{p: newPayloads(reg), maxBytes: maxShown}
	if full {
		d.maxBytes = maxShownFull
	}
	d.p.readAs(n.draftSchema(t, "key"), n.draftSchema(t, "value"))
	return d, nil
}

// draftSchema is where the schema of a topic's keys or values is, as its configs say.
func (n *node) draftSchema(t *topic.Topic, part string) topicSchema {
	use := &t.Config.Value
	if part == "key" {
		use = &t.Config.Key
	}
	out := topicSchema{message: use.Message, in: cmp.Or(t.Config.SchemaContext, registry.DefaultContext)}
	switch {
	case use.Subject != "" || use.Strategy == topic.StrategyTopic:
		out.subject = validate.SubjectOf(n.registry, t.Name, t.Config.SchemaContext, part, use.Subject)
	case use.Message == "":
		out.err = fmt.Errorf("the topic has a subject for each record name (tarn.%s.subject.name.strategy=%s): set tarn.%[1]s.schema.message to the one to write", part, use.Strategy)
	case use.Strategy == topic.StrategyRecord:
		out.subject = registry.Qualify(out.in, use.Message)
	default:
		out.subject = registry.Qualify(out.in, t.Name+"-"+use.Message)
	}
	if out.subject != "" {
		out.in, _ = registry.Split(out.subject)
	}
	return out
}

// record decodes one record.
func (d *display) record(ctx context.Context, rec *rawRecord) shownRecord {
	headers := make([]kgo.RecordHeader, len(rec.Headers))
	out := shownRecord{Partition: rec.Partition, Offset: rec.Offset, TimestampMs: rec.TimestampMs, Headers: []shownHeader{}, Transactional: rec.Transactional}
	for i, h := range rec.Headers {
		headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
		form, text := shownText(h.Value)
		text, _ = clip(text, maxShown)
		out.Headers = append(out.Headers, shownHeader{strings.ToValidUTF8(h.Key, "\uFFFD"), form, text})
	}
	out.Key = d.part(ctx, rec.Key, headers, schema.KeyHeader)
	out.Value = d.part(ctx, rec.Value, headers, schema.ValueHeader)
	return out
}

func (d *display) part(ctx context.Context, b []byte, headers []kgo.RecordHeader, name string) shownPart {
	out := shownPart{Bytes: len(b)}
	if b == nil {
		out.Form = "null"
		return out
	}
	text, id, decoded, err := d.p.decode(ctx, b, headers, name)
	out.SchemaID = id
	switch {
	case err != nil:
		out.Reason = err.Error()
		out.Form, out.Text = shownText(b)
		out.Wire = hex.EncodeToString(b[:min(len(b), hexShown)])
	case decoded:
		out.Form, out.Text = "json", string(text)
	default:
		out.Form, out.Text = shownText(b)
	}
	out.Text, out.Cut = clip(out.Text, d.maxBytes)
	return out
}

// keyIs compares a record's key with what somebody typed: its bytes as text, or the
// text that it decodes to, with or without quotes.
func (d *display) keyIs(rec *rawRecord, typed string) bool {
	if string(rec.Key) == typed {
		return rec.Key != nil
	}
	if len(rec.Key) == 0 || rec.Key[0] != 0 {
		return false // no prefix of a schema
	}
	text := d.record(context.Background(), &rawRecord{Key: rec.Key, Headers: rec.Headers}).Key.Text
	return text == typed || text == `"`+typed+`"`
}

// shownText shows bytes that no schema explains.
func shownText(b []byte) (form, text string) {
	switch {
	case b == nil:
		return "null", ""
	case len(b) > 0 && (b[0] == '{' || b[0] == '[') && json.Valid(b):
		return "json", string(b)
	case utf8.Valid(b) && !bytes.ContainsFunc(b, unprintable):
		return "text", string(b)
	}
	return "bytes", hex.EncodeToString(b)
}

func unprintable(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' }

// clip cuts a text between two characters.
func clip(text string, maxBytes int) (string, bool) {
	if len(text) <= maxBytes {
		return text, false
	}
	for maxBytes > 0 && !utf8.RuneStart(text[maxBytes]) {
		maxBytes--
	}
	return text[:maxBytes], true
}
