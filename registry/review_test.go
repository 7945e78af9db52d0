package registry

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

// told writes a review in lines.
func told(r Review) string {
	var b strings.Builder
	for _, l := range r.Levels {
		b.WriteString(string(l.Level) + "=")
		if l.Compatible {
			b.WriteString("ok ")
		} else {
			b.WriteString(strings.Repeat("!", len(l.Reasons)) + " ")
		}
	}
	for _, c := range r.Changes {
		b.WriteString("\n" + c.Field + ": " + strings.Join(c.Kinds, "+") + " <" + strings.Repeat("!", len(c.Backward)) + ">" + strings.Repeat("!", len(c.Forward)))
		for _, e := range c.Table {
			b.WriteString(" " + e.Text)
		}
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	r := open(t, memory.New())
	if err := r.SetSettings(t.Context(), "", levelOf(None)); err != nil {
		t.Fatal(err)
	}
	register(t, r, "s", order(column("id", `"int"`)+","+column("old", `"string"`)))
	register(t, r, "s", order(column("id", `"int"`)+","+column("n", `{"type":"record","name":"N","fields":[`+column("x", `"int"`)+`]}`)))
	register(t, r, "s", order(column("id", `"long"`)+`,{"name":"n","type":{"type":"record","name":"N","fields":[`+column("x", `"string"`)+`]}},{"name":"kafka_k","type":["null","string"],"default":null}`))
	got, err := r.Diff("s", 2, Latest)
	if err != nil {
		t.Fatal(err)
	}
	want := `BACKWARD=! FORWARD=!! FULL=!!! TABLE=! 
n.x: TYPE_MISMATCH+TYPE_CHANGED <!>! cannot absorb: column n.x is int, and this version has string there
id: TYPE_CHANGED <>! widens column id from int to long
kafka_k: FIELD_ADDED <> adds column kafka_k_ string null for field kafka_k, as names with kafka_ are the table's`
	if told(got) != want {
		t.Errorf("got\n%s\nwant\n%s", told(got), want)
	}
	if got.From != 2 || got.To != 3 || got.Level != None || !got.Compatible || got.Subject != "s" || got.Type != schema.Avro {
		t.Errorf("got %+v", got)
	}
	// The column old has been unfilled since version 2: that is no news in 3.
	if got, err = r.Diff("s", 1, 2); err != nil || !strings.Contains(told(got), "column old stays, and is null in new rows") {
		t.Errorf("1 to 2: %s, %v", told(got), err)
	}
	if got, err = r.Diff("s", 3, 1); err != nil || got.To != 1 || len(got.Changes) == 0 {
		t.Errorf("backwards: %+v, %v", got, err)
	}
	if got, err = r.Diff("s", 1, 1); err != nil || len(got.Changes) != 0 || told(got) != "BACKWARD=ok FORWARD=ok FULL=ok TABLE=ok " {
		t.Errorf("to itself: %s, %v", told(got), err)
	}
	if _, err = r.Diff("s", 1, 9); !errors.Is(err, ErrVersionNotFound) {
		t.Errorf("no version 9: %v", err)
	}
	if _, err = r.Diff("none", 1, 2); !errors.Is(err, ErrSubjectNotFound) {
		t.Errorf("no subject: %v", err)
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

func TestExamine(t *testing.T) {
	r := open(t, memory.New())
	got, err := r.Examine("s", order(column("id", `"int"`)))
	if err != nil || !got.Compatible || got.From != 0 || len(got.Levels) != 7 || got.Refusal() != "" {
		t.Errorf("a first schema: %+v, %v", got, err)
	}
	if got, err = r.Examine("s", order("")); err != nil || got.Formless == "" || got.Levels[6].Compatible || !got.Compatible {
		t.Errorf("no table form: %+v, %v", got, err)
	}
	register(t, r, "s", order(column("id", `"int"`)))
	register(t, r, "s", order(column("id", `"long"`)))
	got, err = r.Examine("s", order(column("id", `"int"`)+","+column("c", `"string"`)))
	if err != nil || got.Compatible || got.From != 2 || got.Refusal() != "refused by BACKWARD, against version 2" {
		t.Errorf("got %+v, %v", got, err)
	}
	want := `BACKWARD=!! BACKWARD_TRANSITIVE=!! FORWARD=ok FORWARD_TRANSITIVE=ok FULL=!! FULL_TRANSITIVE=!! TABLE=ok 
id: TYPE_MISMATCH+TYPE_CHANGED <!>
c: READER_FIELD_MISSING_DEFAULT_VALUE+FIELD_ADDED <!> adds column c string null`
	if told(got) != want {
		t.Errorf("got\n%s\nwant\n%s", told(got), want)
	}
	if len(got.Reasons) != 2 || !strings.Contains(got.Reasons[1], "has no default value") {
		t.Errorf("reasons %q", got.Reasons)
	}
	err = r.SetSettings(t.Context(), "s", func(s *Settings) error { s.Policy = Logical; return nil })
	if err != nil {
		t.Fatal(err)
	}
	got, err = r.Examine("s", order(column("id", `"double"`)))
	if err != nil || got.Compatible || got.Refusal() != "refused by the policy LOGICAL" || len(got.Reasons) != 1 {
		t.Errorf("readers take it, tables do not: %+v, %v", got, err)
	}
	// Another language: nothing can be compared but the columns.
	got, err = r.Examine("s", Request{Type: schema.JSON, Text: `{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"],"additionalProperties":false}`})
	if err != nil || got.Compatible || told(got) != "BACKWARD=! BACKWARD_TRANSITIVE=! FORWARD=! FORWARD_TRANSITIVE=! FULL=! FULL_TRANSITIVE=! TABLE=ok " {
		t.Errorf("another language: %s, %v", told(got), err)
	}
	if _, err = r.Examine("s", Request{Text: "{"}); err == nil {
		t.Error("a broken text was reviewed")
	}
}
