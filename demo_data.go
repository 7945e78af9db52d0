package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/tarn-io/tarn/schema/fake"
)

// demoMark stands in the schemas of the demo, so that it never deletes what it has not
// made.
const demoMark = "Made by tarn demo."

// Schemas of the demo. ordersV2 has one field more.
const (
	ordersV1 = `{"type":"record","name":"Order","namespace":"demo","doc":"` + demoMark + `","fields":[` + ordersFields + `]}`
	ordersV2 = `{"type":"record","name":"Order","namespace":"demo","doc":"` + demoMark + `","fields":[` + ordersFields + `,
{"name":"coupon","type":["null","string"],"default":null}]}`
	ordersFields = `{"name":"order_id","type":"string"},
{"name":"user_id","type":"string"},
{"name":"product","type":"string"},
{"name":"quantity","type":"int"},
{"name":"amount","type":"double"},
{"name":"currency","type":"string"},
{"name":"status","type":{"type":"enum","name":"Status","symbols":["new","paid","packed","shipped","delivered","returned"]}},
{"name":"created_at","type":{"type":"long","logicalType":"timestamp-millis"}}`
	usersV1 = `// ` + demoMark + `
syntax = "proto3";
package demo;
import "google/protobuf/timestamp.proto";
message User {
  string id = 1;
  string name = 2;
  string email = 3;
  string city = 4;
  string country = 5;
  enum Plan { NONE = 0; FREE = 1; BASIC = 2; PLUS = 3; }
  Plan plan = 6;
  google.protobuf.Timestamp signup_at = 7;
}
`
	clicksV1 = `{"$schema":"http://json-schema.org/draft-07/schema#","title":"Click","description":"` + demoMark + `","type":"object",
"properties":{"user_id":{"type":"string"},"page":{"type":"string"},"action":{"type":"string"},"device":{"enum":["desktop","phone","tablet"]},
"duration_ms":{"type":"integer","minimum":0,"maximum":60000},"at":{"type":"string","format":"date-time"}},
"required":["user_id","page","action","at"],"additionalProperties":false}`
)

// demo is a running demonstration.
type demo struct {
	cmd      *demoCmd
	std      stdio
	client   *kgo.Client // sends what fits
	rude     *kgo.Client // sends what does not
	registry *sr.Client
	payloads *payloads // of produce
	streams  []*stream
	table    string // of orders

	sent, bad, behind atomic.Int64
}

// stream is one topic of the demo.
type stream struct {
	topic   string
	key     string // the field that is the record's key
	share   int    // of a hundred records
	schema  sr.Schema
	makes   *fake.Generator
	subject topicSchema
}

// open makes topics and schemas, as far as they are not there.
func (c *demoCmd) open(ctx context.Context, std stdio) (*demo, error) {
	d := &demo{cmd: c, std: std, streams: c.streams()}
	var err error
	if d.registry, err = c.registry(); err != nil {
		return nil, err
	}
	d.payloads = newPayloads(d.registry)
	if d.client, err = c.kafka(ctx, kgo.ProducerLinger(10*time.Millisecond)); err != nil {
		return nil, fmt.Errorf("%w\nThe demo needs a running broker: start one with tarn in another terminal", err)
	}
	// A batch that is refused makes an idempotent producer begin anew.
	if d.rude, err = c.kafka(ctx, kgo.DisableIdempotentWrite(), kgo.ClientID("demo-old-app")); err != nil {
		d.client.Close()
		return nil, err
	}
	for _, s := range d.streams {
		if err := d.prepare(ctx, s); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

// streams are the demo's topics, orders first.
func (c *demoCmd) streams() []*stream {
	return []*stream{
		{topic: c.Prefix + "orders", key: "order_id", share: 40, schema: sr.Schema{Schema: ordersV1, Type: sr.TypeAvro}},
		{topic: c.Prefix + "users", key: "id", share: 10, schema: sr.Schema{Schema: usersV1, Type: sr.TypeProtobuf}},
		{topic: c.Prefix + "clicks", key: "user_id", share: 50, schema: sr.Schema{Schema: clicksV1, Type: sr.TypeJSON}},
	}
}

func (d *demo) close() {
	d.client.Close()
	d.rude.Close()
}

// group is the name of the slow group.
func (d *demo) group() string { return d.cmd.Prefix + "billing" }

// tally says what has happened so far.
func (d *demo) tally() string {
	return fmt.Sprintf("%d records sent, %d refused, %s %d behind", d.sent.Load(), d.bad.Load(), d.group(), d.behind.Load())
}

// prepare makes a topic and registers its schema; what is there must be the demo's.
func (d *demo) prepare(ctx context.Context, s *stream) error {
	configs := map[string]string{
		"tarn.table.formats": "iceberg,delta,parquet", "tarn.table.commit.interval.ms": "5000", "tarn.value.schema.validation": "payload",
	}
	foreign := fmt.Errorf("topic or subject %s is there already and is not the demo's: give the demo names of its own with --prefix demo_, or a broker of its own with tarn --data DIR", s.topic)
	ours, there, err := d.cmd.ours(ctx, d.registry, s.topic)
	switch {
	case err != nil:
		return err
	case there && !ours:
		return foreign
	}
	adm, err := d.cmd.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	set := map[string]*string{}
	for k, v := range configs {
		set[k] = &v
	}
	answer, err := adm.CreateTopic(ctx, 3, -1, set, s.topic)
	exists := errors.Is(err, kerr.TopicAlreadyExists)
	if err != nil && !exists {
		return fmt.Errorf("make topic %s: %w", s.topic, told(answer.Err, answer.ErrMessage))
	}
	switch {
	case exists && !there:
		return foreign
	case !there:
		if _, err := d.registry.CreateSchema(ctx, s.topic+"-value", s.schema); err != nil {
			return fmt.Errorf("register %s-value: %w", s.topic, err)
		}
	}
	return d.follow(ctx, s)
}

// ours reports whether the subject of a topic is there, and made by a demo.
func (c *demoCmd) ours(ctx context.Context, reg *sr.Client, topic string) (ours, there bool, err error) {
	versions, err := reg.SubjectVersions(ctx, topic+"-value")
	var answer *sr.ResponseError
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return false, false, nil
	}
	var first sr.SubjectSchema
	if err == nil && len(versions) > 0 {
		first, err = reg.SchemaByVersion(ctx, topic+"-value", versions[0])
	}
	if err != nil {
		return false, false, fmt.Errorf("ask for the schema of %s: %w", topic, err)
	}
	return strings.Contains(first.Schema.Schema, demoMark), true, nil
}

// follow makes documents of a stream by the latest version of its schema.
func (d *demo) follow(ctx context.Context, s *stream) error {
	s.subject = topicSchema{subject: s.topic + "-value"}
	delete(d.payloads.latest, s.subject.subject)
	var err error
	if s.makes, err = d.payloads.maker(ctx, s.subject, d.cmd.Seed); err == nil && s.makes == nil {
		err = fmt.Errorf("%s is gone", s.subject.subject)
	}
	return err
}

// tables reports whether orders have rows in every format, and where plain Parquet is
// for readers on this machine, "" if it is not.
func (d *demo) tables(ctx context.Context) (string, bool) {
	var st tableStatus
	if err := d.cmd.call(ctx, http.MethodGet, "/api/tables/"+url.PathEscape(d.streams[0].topic), nil, &st); err != nil || len(st.Formats) == 0 {
		return "", false // soon
	}
	location := ""
	for _, f := range st.Formats {
		if f.LastCommit == nil {
			return "", false
		}
		if at, ok := strings.CutPrefix(f.Location, "file://"); ok && f.Format == "parquet" {
			location = strings.TrimSuffix(at, "/")
		}
	}
	d.table = st.Table
	return location, true
}

// record makes the next record of a stream.
func (d *demo) record(ctx context.Context, s *stream) (*kgo.Record, error) {
	doc, err := s.makes.Next()
	if err != nil {
		return nil, err
	}
	value, err := d.payloads.encode(ctx, s.subject, doc)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	var key string
	if err := json.Unmarshal(doc, &fields); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(fields[s.key], &key); err != nil {
		return nil, err
	}
	return &kgo.Record{Topic: s.topic, Key: []byte(key), Value: value}, nil
}
