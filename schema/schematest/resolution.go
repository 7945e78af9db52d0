package schematest

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// resolution has the cases of payloads that are read with another version of
// their schema; its README.md says how they are written.
//
//go:embed resolution/*.txt
var resolution embed.FS

// Resolution is a case: a writer's schema, a reader's, and what becomes of
// payloads.
type Resolution struct {
	Name           string
	Writer, Reader schema.Source
	// Never is a part of the error where no payload can be read.
	Never string
	// Ours says where the specification is silent or left, and why.
	Ours     string
	Payloads []Resolved
}

// Resolved is a payload and its row as JSON, or a part of its refusal.
type Resolved struct {
	Payload      []byte
	Row, Refusal string
}

// Resolutions reads the cases of a language.
func Resolutions(t testing.TB, lang schema.Type) []Resolution {
	t.Helper()
	text, err := resolution.ReadFile("resolution/" + strings.ToLower(string(lang)) + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []Resolution
	for s, n := bufio.NewScanner(bytes.NewReader(text)), 1; s.Scan(); n++ {
		word, rest, _ := strings.Cut(s.Text(), " ")
		switch {
		case word == "" || word == "#":
		case word == "==":
			list = append(list, Resolution{Name: rest, Writer: schema.Source{Type: lang}, Reader: schema.Source{Type: lang}})
		case len(list) == 0 || !list[len(list)-1].line(word, rest):
			t.Fatalf("line %d of the resolutions of %s: %q", n, lang, s.Text())
		}
	}
	return list
}

func (r *Resolution) line(word, rest string) bool {
	switch word {
	case "writer":
		r.Writer.Text = rest
	case "reader":
		r.Reader.Text = rest
	case "never":
		r.Never = rest
	case "ours":
		r.Ours = rest
	case "row", "not":
		text, want, ok := strings.Cut(rest, " | ")
		payload, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		p := Resolved{Payload: payload, Row: want}
		if word == "not" {
			p.Row, p.Refusal = "", want
		}
		r.Payloads = append(r.Payloads, p)
		return ok && err == nil && want != ""
	default:
		return false
	}
	return true
}

// minResolutions is how many cases there are at the least.
const minResolutions = 60

// RunResolutions holds a language to its cases. also, which may be nil, is asked
// for each of them: an oracle.
func RunResolutions(t *testing.T, lang schema.Type, parse func(schema.Source) (schema.Schema, error), also func(*testing.T, Resolution)) {
	cases := Resolutions(t, lang)
	if len(cases) < minResolutions {
		t.Errorf("%d cases, want %d", len(cases), minResolutions)
	}
	names := map[string]bool{}
	for _, c := range cases {
		if names[c.Name] {
			t.Errorf("two cases are named %q", c.Name)
		}
		names[c.Name] = true
		t.Run(c.Name, func(t *testing.T) {
			c.check(t, parse)
			if also != nil {
				also(t, c)
			}
		})
	}
}

func (r Resolution) check(t *testing.T, parse func(schema.Source) (schema.Schema, error)) {
	writer, err := parse(r.Writer)
	if err != nil {
		t.Fatalf("writer: %v", err)
	}
	reader, err := parse(r.Reader)
	if err != nil {
		t.Fatalf("reader: %v", err)
	}
	d, err := reader.(schema.Resolver).Resolve(writer)
	if r.Never != "" {
		if err == nil || !strings.Contains(err.Error(), r.Never) {
			t.Errorf("got %v, want an error with %q", err, r.Never)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	own, err := reader.Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Columns().Equal(own.Columns()) {
		t.Errorf("columns are %s, want the reader's %s", d.Columns(), own.Columns())
	}
	if again, _ := reader.(schema.Resolver).Resolve(writer); again != d {
		t.Error("the same writer gives another decoder")
	}
	for _, p := range r.Payloads {
		row, err := rowOf(t, d, p.Payload)
		switch {
		case p.Refusal != "" && (err == nil || !strings.Contains(err.Error(), p.Refusal)):
			t.Errorf("%x: got %s, %v, want a refusal with %q", p.Payload, row, err, p.Refusal)
		case p.Refusal == "" && (err != nil || sorted(t, row) != sorted(t, p.Row)):
			t.Errorf("%x:\n got %s, %v\nwant %s", p.Payload, row, err, p.Row)
		}
	}
}

// rowOf decodes one payload into JSON, between two others that stay as they are.
func rowOf(t *testing.T, d schema.Decoder, payload []byte) (string, error) {
	t.Helper()
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	err = d.Decode(payload, rows)
	if valid := d.Validate(payload); (valid == nil) != (err == nil) || err != nil && err.Error() != valid.Error() {
		t.Errorf("%x: Validate says %v, Decode %v", payload, valid, err)
	}
	if err != nil {
		if n := rows.Batch().NumRows(); n != 0 {
			t.Errorf("%x: %d rows of a refused payload", payload, n)
		}
		return "", err
	}
	if err := d.Decode(payload, rows); err != nil {
		t.Errorf("%x: once more: %v", payload, err)
	}
	b := rows.Batch()
	first, second := jsonRow(t, b, 0), jsonRow(t, b, 1)
	if first != second {
		t.Errorf("%x: %s, and then %s", payload, first, second)
	}
	return first, nil
}

func jsonRow(t *testing.T, b arrow.RecordBatch, i int64) string {
	t.Helper()
	text, err := b.NewSlice(i, i+1).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(text)), "["), "]")
}

// sorted is JSON with its members sorted.
func sorted(t *testing.T, text string) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
