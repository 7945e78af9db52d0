package plain

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		manner  Manner
		payload string
		refused string // part of the error; empty: taken
	}{
		{Binary, "", ""},
		{Binary, "\x00\xff", ""},
		{String, "", ""},
		{String, "Köln", ""},
		{String, "a\xff", "expected UTF-8, found byte 0xff at position 1"},
		{String, "\xed\xa0\x80", "byte 0xed at position 0"}, // a surrogate
		{String, "a\ufffdb\x80", "byte 0x80 at position 5"},
		{JSON, `{"a":[1,2.50,null]}`, ""},
		{JSON, ` 12345678901234567890 `, ""},
		{JSON, `"x"`, ""},
		{JSON, ``, "expected one JSON value, found none"},
		{JSON, " \n", "found none"},
		{JSON, `{"a":1}{`, "invalid character '{' after top-level value, at position 8"},
		{JSON, `{"a":`, "unexpected end of JSON input"},
		{JSON, "\x00\x00\x00\x00\x01{}", "at position 1"},
		{JSON, "\"\xff\"", "expected UTF-8"},
		{JSON, strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001), "exceeded max depth"},
	} {
		d, err := New(c.manner)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatal(err)
		}
		err = d.Decode([]byte(c.payload), rows)
		var invalid *schema.Invalid
		switch {
		case c.refused == "" && (err != nil || rows.Len() != 1 || value(rows) != c.payload):
			t.Errorf("%s %q: %v, %d rows", c.manner, c.payload, err, rows.Len())
		case c.refused != "" && (!errors.As(err, &invalid) || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s %.40q: got %v, want %s", c.manner, c.payload, err, c.refused)
		case c.refused != "" && rows.Len() != 0:
			t.Errorf("%s %.40q: a row of a refused payload", c.manner, c.payload)
		}
	}
	if _, err := New("xml"); err == nil {
		t.Error("an unknown manner is taken")
	}
}

// value is the only row's.
func value(rows *schema.Rows) string {
	switch col := rows.Batch().Column(0).(type) {
	case *array.Binary:
		return string(col.Value(0))
	case *array.String:
		return col.Value(0)
	}
	return "no such column"
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "{}", "[1,", "\xff", `"\u00e4"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, m := range []Manner{Binary, String, JSON} {
			d, _ := New(m)
			rows, err := schema.NewRows(d.Columns())
			if err != nil {
				t.Fatal(err)
			}
			refused := d.Decode(payload, rows)
			if (refused == nil) != (d.Validate(payload) == nil) || (refused == nil) != (rows.Len() == 1) {
				t.Fatalf("%s: %v, %d rows", m, refused, rows.Len())
			}
			if refused == nil && value(rows) != string(payload) {
				t.Fatalf("%s changes %q", m, payload)
			}
		}
	})
}
