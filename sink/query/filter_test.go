package query

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// filtered is a record that TestFilter asks about.
func filtered() *FilterRecord {
	return &FilterRecord{
		Topic: "orders", Partition: 2, Offset: 41, Timestamp: time.Date(2026, 1, 31, 12, 0, 0, 5e6, time.UTC),
		Key: []byte("ada"), Value: []byte{0, 0, 0, 0, 1, 7},
		HeaderKeys: []string{"trace"}, HeaderValues: [][]byte{[]byte("on")},
		SchemaID:     7,
		DecodedValue: []byte(`{"amount":12.5,"big":9223372036854775807,"ok":true,"none":null,"items":[{"sku":"a"}],"Kafka_Offset":5,"text":"x'y","Price":1.000000000000000001,"wide":123456789012345678901,"round":1.000000000000000000}`),
	}
}

// TestFilter holds conditions against one record.
func TestFilter(t *testing.T) {
	for _, tt := range []struct{ where, want string }{
		{"amount > 12 and amount < 13", "true"},
		{"big = 9223372036854775807", "true"},
		{"big = 9223372036854775806", "false"},
		{"ok", "true"},
		{"none is null", "true"},
		{"none", "false"},
		{"items ->> '$[0].sku' = 'a'", "true"},
		{"value ->> 'amount' = 12.5", "true"},
		{"kafka_partition = 2 and kafka_offset = 41 and kafka_topic = 'orders'", "true"},
		{"kafka_offset_2 = 5", "true"},
		{"kafka_timestamp = '2026-01-31 12:00:00.005'", "true"},
		{"kafka_timestamp > '2026-01-31T12:00:00Z' and kafka_timestamp < 1769860800006", "true"},
		{"kafka_key = 'ada' and kafka_key_decoded is null and kafka_error is null", "true"},
		{"kafka_headers ->> '$[0].value' = 'on'", "true"},
		{"kafka_value = x'000000000107'", "true"},
		{"kafka_schema_id in (1, 7)", "true"},
		{"text = 'x''y'", "true"},
		{"coupon is null", "true [coupon]"},
		{"coupon = 'A' or \"discount rate\" > 1", "false [coupon discount rate]"},
		{"price > 1 and price <> 1.000000000000000002 and \"PRICE\" in ('1.0000000000000000010')", "true"},
		{"price = 1 or price < 1.000000000000000001 or wide = price or wide is 123456789012345678902 or round = 1.000000000000000001 or round <> 1", "false"},
		{"wide between 123456789012345678901 and 123456789012345678902 and price + 1 = 2 and amount < price + 12", "true"},
		{"amount >", "invalid"},
		{"amount > 1) or (1", "true"},
		{"orders.amount > 1", "invalid"},
		{"nofunction(1)", "invalid"},
		{"(select count(*) from nothing) > 1", "invalid"},
	} {
		got := func() string {
			f, err := NewFilter(t.Context(), tt.where)
			if err != nil {
				if errors.Is(err, ErrInvalid) {
					return "invalid"
				}
				return err.Error()
			}
			defer f.Close()
			ok, err := f.Match(t.Context(), filtered())
			if err != nil {
				return err.Error()
			}
			if u := f.Unknown(); len(u) > 0 {
				return fmt.Sprint(ok, " ", u)
			}
			return fmt.Sprint(ok)
		}()
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.where, got, tt.want)
		}
	}
}

// TestFilterShapes has records with ever other fields, and values without any.
func TestFilterShapes(t *testing.T) {
	f, err := NewFilter(t.Context(), "n % 2 = 1")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	matched := 0
	for i := range 3 * maxShapes {
		r := &FilterRecord{DecodedValue: fmt.Appendf(nil, `{"n":%d,"f%d":1}`, i, i)}
		ok, err := f.Match(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			matched++
		}
	}
	if want := 3 * maxShapes / 2; matched != want || len(f.shapes) > maxShapes || f.Unknown() != nil {
		t.Errorf("matched %d, want %d; %d shapes, unknown %v", matched, want, len(f.shapes), f.Unknown())
	}
	for _, value := range []string{"", "null", "1", `"text"`, `[1]`, `{"n":`, "\xff"} {
		if ok, err := f.Match(t.Context(), &FilterRecord{Value: []byte(value), DecodedValue: []byte(value)}); ok || err != nil {
			t.Errorf("value %q: %v, %v", value, ok, err)
		}
	}
}

// FuzzFilter gives values that are hostile, or conditions.
func FuzzFilter(f *testing.F) {
	f.Add("n = 1", []byte(`{"n":1}`))
	f.Add("n ->> 'a' = 1", []byte(`{"n":{"a":1},"N":2,"n_2":3}`))
	f.Add("\"a b\" is null", []byte(`{"a b":"`))
	f.Fuzz(func(t *testing.T, where string, value []byte) {
		members(value)
		filter, err := NewFilter(t.Context(), where)
		if err != nil {
			return
		}
		defer filter.Close()
		_, _ = filter.Match(t.Context(), &FilterRecord{DecodedValue: value, Value: value})
	})
}
