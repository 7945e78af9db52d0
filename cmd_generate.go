package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// usualRate is how many records a second are made up where neither a rate nor a number
// is given: somebody looks at them.
const usualRate = 10

type generateCmd struct {
	connect
	Topic   string   `arg:"" help:"Topic; it must have a schema. An unknown one is made if the broker does so."`
	Num     int64    `short:"n" placeholder:"N" help:"End after that many records; without it, go on until interrupted."`
	Rate    *float64 `short:"r" placeholder:"N" help:"Records a second, 0 as fast as it goes. Default: 10, or with -n as fast as it goes."`
	Seed    uint64   `default:"1" help:"Where randomness begins: the same seed makes the same records."`
	Invalid float64  `placeholder:"SHARE" help:"So large a part of the records does not fit the schema: 0.01 is one in a hundred."`
	Key     string   `short:"k" placeholder:"TEMPLATE" help:"Key of the records: text with {n}, the record's number, {n:100}, its remainder by 100, and {FIELD} of the value. Default: by the schema of keys, else none."`
	Headers []string `name:"header" short:"H" sep:"none" placeholder:"KEY=VALUE" help:"Header for every record; may be repeated."`
	Print   bool     `help:"Write the records as JSON lines, as tarn produce takes them, and produce nothing."`
}

// Help shows examples.
func (c *generateCmd) Help() string {
	return `Records are made by the topic's schema, Avro, Protobuf or JSON Schema: values look like
what the fields are called, and fit.

  tarn generate orders
  tarn generate orders -n 100000 --key '{customer}'
  tarn generate orders --rate 500 --invalid 0.01
  tarn generate orders -n 5 --print | tarn produce orders-copy`
}

// making is one run of tarn generate.
type making struct {
	cmd     *generateCmd
	makes   *madeUp
	client  *kgo.Client // for what fits
	rude    *kgo.Client // for what does not; nil if nothing
	headers []kgo.RecordHeader

	sent, taken, refused atomic.Int64 // records; of taken and refused, those that do not fit
	wrong                int64        // records that do not fit
	failed               atomic.Pointer[error]
}

// Run makes records until there are enough, or ctx ends.
func (c *generateCmd) Run(ctx context.Context, std stdio) error {
	switch {
	case c.Invalid < 0 || c.Invalid > 1:
		return fmt.Errorf("--invalid %v: a part of the records, from 0 to 1", c.Invalid)
	case c.Rate != nil && *c.Rate < 0:
		return fmt.Errorf("--rate %v: records a second, or 0 for as fast as it goes", *c.Rate)
	case c.Print && c.Invalid > 0:
		return errors.New("--print writes documents, which cannot be spoilt as bytes can: leave out --invalid")
	}
	g := &making{cmd: c}
	var err error
	if g.headers, err = headersOf(c.Headers); err != nil {
		return err
	}
	if g.client, err = c.kafka(ctx, kgo.DefaultProduceTopic(c.Topic), kgo.AllowAutoTopicCreation()); err != nil {
		return err
	}
	defer g.client.Close()
	if g.makes, err = c.newMadeUp(ctx, g.client, c.Topic, c.Seed, c.Key); err != nil {
		return err
	}
	if c.Print {
		return g.print(ctx, std)
	}
	if c.Invalid > 0 {
		// A batch that is refused makes an idempotent producer begin anew.
		if g.rude, err = c.kafka(ctx, kgo.DefaultProduceTopic(c.Topic), kgo.AllowAutoTopicCreation(), kgo.DisableIdempotentWrite()); err != nil {
			return err
		}
		defer g.rude.Close()
	}
	if err := g.all(ctx, std); err != nil {
		return err
	}
	return g.report(std)
}

// rate is that of the flags.
func (c *generateCmd) rate() float64 {
	switch {
	case c.Rate != nil:
		return *c.Rate
	case c.Num > 0 || c.Print:
		return 0
	}
	return usualRate
}

// each calls do for every record that is to be made, in its time.
func (g *making) each(ctx context.Context, do func() error) error {
	p := newPace(g.cmd.rate())
	for i := int64(0); i < g.cmd.Num || g.cmd.Num == 0; i++ {
		if p.next(ctx) != nil || g.failed.Load() != nil {
			return nil
		}
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// all makes and sends.
func (g *making) all(ctx context.Context, std stdio) error {
	bar := startProgress(ctx, std, g.cmd.Topic, g.how)
	defer bar.stop()
	sending := context.WithoutCancel(ctx)
	if err := g.each(ctx, func() error { return g.send(sending) }); err != nil {
		return err
	}
	flush, cancel := context.WithTimeout(sending, flushTime)
	defer cancel()
	err := g.client.Flush(flush)
	if g.rude != nil {
		err = errors.Join(err, g.rude.Flush(flush))
	}
	if err != nil {
		return fmt.Errorf("send the last records: %w", err)
	}
	return nil
}

// how tells the progress.
func (g *making) how() (int64, float64) {
	done := g.sent.Load() + g.taken.Load() + g.refused.Load()
	if g.cmd.Num == 0 {
		return done, -1
	}
	return done, float64(done) / float64(g.cmd.Num)
}

// send makes one record and sends it.
func (g *making) send(ctx context.Context) error {
	r, err := g.makes.record(ctx)
	if err != nil {
		return err
	}
	r.Headers = g.headers
	if g.cmd.Invalid > 0 && g.makes.random.Float64() < g.cmd.Invalid {
		g.makes.spoil(r)
		g.wrong++
		g.rude.Produce(ctx, r, func(_ *kgo.Record, err error) {
			switch {
			case err == nil:
				g.taken.Add(1)
			case errors.Is(err, kerr.InvalidRecord):
				g.refused.Add(1)
			default:
				g.failed.CompareAndSwap(nil, &err)
			}
		})
		return nil
	}
	g.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			g.failed.CompareAndSwap(nil, &err)
			return
		}
		g.sent.Add(1)
	})
	return nil
}

// report says what became of the records.
func (g *making) report(std stdio) error {
	c := g.cmd
	sent, taken, refused := g.sent.Load(), g.taken.Load(), g.refused.Load()
	text := fmt.Sprintf("%d records made up and produced to %s", sent+taken, c.Topic)
	if g.wrong > 0 {
		text += fmt.Sprintf("; of %d that do not fit, %d were refused", g.wrong, refused)
		if taken > 0 {
			text += fmt.Sprintf(" and %d taken (tarn.value.schema.validation and tarn.schema.on.invalid of the topic say which)", taken)
		}
	}
	err := c.sayFields(std, []field{{"topic", c.Topic}, {"produced", sent + taken}, {"invalid", g.wrong}, {"refused", refused}}, text)
	if failed := g.failed.Load(); failed != nil {
		err = errors.Join(err, fmt.Errorf("produce to %s: %w", c.Topic, *failed))
	}
	return err
}

// print writes documents.
func (g *making) print(ctx context.Context, std stdio) error {
	type made struct {
		Topic   string          `json:"topic"`
		Key     json.RawMessage `json:"key,omitempty"`
		Value   json.RawMessage `json:"value"`
		Headers []lineHeader    `json:"headers,omitempty"`
	}
	var headers []lineHeader
	for _, h := range g.headers {
		headers = append(headers, lineHeader{Key: h.Key, Value: plainJSON(h.Value)})
	}
	e := json.NewEncoder(std.out)
	e.SetEscapeHTML(false)
	return g.each(ctx, func() error {
		key, value, err := g.makes.document()
		if err != nil {
			return err
		}
		return e.Encode(made{Topic: g.cmd.Topic, Key: key, Value: value, Headers: headers})
	})
}

// headersOf reads KEY=VALUE words.
func headersOf(words []string) ([]kgo.RecordHeader, error) {
	var out []kgo.RecordHeader
	for _, h := range words {
		k, v, ok := strings.Cut(h, "=")
		if !ok {
			return nil, fmt.Errorf("--header %q is not KEY=VALUE", h)
		}
		out = append(out, kgo.RecordHeader{Key: k, Value: []byte(v)})
	}
	return out, nil
}
