package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
)

// order is the record of the scenarios, with the field names of its schema.
type order struct {
	OrderID  string           `avro:"order_id" json:"order_id"`
	Quantity int32            `avro:"quantity" json:"quantity"`
	Amount   int64            `avro:"amount" json:"amount"`
	Weight   float64          `avro:"weight" json:"weight"`
	PlacedAt millis           `avro:"-" json:"placed_at"`
	Customer customer         `avro:"customer" json:"customer"`
	Note     *string          `avro:"note" json:"note"`
	Tags     []string         `avro:"tags" json:"tags"`
	Attrs    map[string]int64 `avro:"attrs" json:"attrs"`
	Price    cents            `avro:"-" json:"price"`
	Status   string           `avro:"status" json:"status"`
	Paid     bool             `avro:"paid" json:"paid"`
	Due      day              `avro:"-" json:"due"`
	Coupon   *string          `avro:"coupon" json:"coupon"`

	// What Avro sees of the fields whose JSON form is another.
	AvroPlacedAt time.Time `avro:"placed_at" json:"-"`
	AvroPrice    *big.Rat  `avro:"price" json:"-"`
	AvroDue      time.Time `avro:"due" json:"-"`
}

type customer struct {
	Name    string   `avro:"name" json:"name"`
	VIP     bool     `avro:"vip" json:"vip"`
	Address *address `avro:"address" json:"address"`
}

type address struct {
	Street string `avro:"street" json:"street"`
	Zip    *int32 `avro:"zip" json:"zip"`
}

type (
	millis struct{ time.Time } // JSON: milliseconds since 1970
	day    struct{ time.Time } // JSON: 2026-01-31
	cents  struct{ *big.Rat }  // JSON: "-12.30"
)

func (m millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, m.UnixMilli(), 10), nil
}

func (m *millis) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(string(b), 10, 64)
	m.Time = time.UnixMilli(n).UTC()
	return err
}

func (d day) MarshalJSON() ([]byte, error) { return json.Marshal(d.Format(time.DateOnly)) }

func (d *day) UnmarshalJSON(b []byte) error {
	t, err := time.Parse(time.DateOnly, strings.Trim(string(b), `"`))
	d.Time = t
	return err
}

func (c cents) MarshalJSON() ([]byte, error) { return json.Marshal(c.FloatString(2)) }

func (c *cents) UnmarshalJSON(b []byte) error {
	r, ok := new(big.Rat).SetString(strings.Trim(string(b), `"`))
	if !ok {
		return fmt.Errorf("price %s is no decimal", b)
	}
	c.Rat = r
	return nil
}

// serde encodes and decodes orders by every version of the topic's subject.
func (p *peer) serde(ctx context.Context) (*sr.Serde, error) {
	cl, err := p.registry()
	if err != nil {
		return nil, err
	}
	all, err := cl.Schemas(ctx, p.topic+"-value")
	if err != nil {
		return nil, fmt.Errorf("schemas of %s-value: %w", p.topic, err)
	}
	s := sr.NewSerde()
	for _, v := range all {
		sc, err := avro.Parse(v.Schema.Schema)
		if err != nil {
			return nil, fmt.Errorf("schema %d: %w", v.ID, err)
		}
		// The last version registered is the one that Encode takes.
		s.Register(v.ID, &order{}, sr.EncodeFn(func(a any) ([]byte, error) {
			o := a.(*order)
			o.AvroPlacedAt, o.AvroPrice, o.AvroDue = o.PlacedAt.Time, o.Price.Rat, o.Due.Time
			return sc.Encode(o)
		}), sr.DecodeFn(func(b []byte, a any) error {
			o := a.(*order)
			rest, err := sc.Decode(b, o)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("%d bytes behind the value", len(rest))
			}
			o.PlacedAt.Time, o.Price.Rat, o.Due.Time = o.AvroPlacedAt, o.AvroPrice, o.AvroDue
			return err
		}))
	}
	return s, nil
}
