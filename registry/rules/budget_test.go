package rules

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tarn-io/tarn/schema"
)

// hostile is a schema whose annotations have one expression: of the message, of
// field n, of the items of n, or of a rule of its own for whole numbers.
func hostile(place, expr string) string {
	rule := `{id: "x", expression: "` + expr + `"}`
	at := map[string]string{}
	at[place] = rule
	text := `syntax = "proto2";
package evil;
import "buf/validate/validate.proto";
`
	if r := at["predefined"]; r != "" {
		text += "extend buf.validate.Int32Rules { optional bool odd = 1161 [(buf.validate.predefined).cel = " + r + "]; }\n"
	}
	text += "message M {\n"
	if r := at["message"]; r != "" {
		text += "option (buf.validate.message).cel = " + r + ";\n"
	}
	text += "repeated int32 n = 1"
	switch {
	case at["field"] != "":
		text += " [(buf.validate.field).cel = " + at["field"] + "]"
	case at["items"] != "":
		text += " [(buf.validate.field).repeated.items.cel = " + at["items"] + "]"
	}
	text += ";\noptional string s = 2;\nmap<string, string> by = 3"
	if r := at["values"]; r != "" {
		text += " [(buf.validate.field).map.values.cel = " + r + "]"
	}
	text += ";\noptional int32 one = 4"
	if at["predefined"] != "" {
		text += " [(buf.validate.field).int32.(evil.odd) = true]"
	}
	return text + ";\nrepeated M more = 5;\n}\n"
}

// hostilePayload has n numbers, a text as long, and as many pairs and messages.
func hostilePayload(n int) []byte {
	var b []byte
	for i := range n {
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), uint64(i))
	}
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), strings.Repeat("x", n))
	for i := range n {
		pair := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte{'a' + byte(i%26), 'a' + byte(i/26%26), byte('a' + i/676)})
		b = protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), pair)
		b = protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), []byte{8, 1, 8, 2})
	}
	return protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType), 7)
}

// TestHostileAnnotations: what could keep a processor for hours is refused before
// it begins, and the same on small payloads is run.
func TestHostileAnnotations(t *testing.T) {
	loops := "this.n.all(a, this.n.all(b, this.n.all(c, this.n.all(d, a + b + c + d >= 0))))"
	numbers := "[" + strings.Repeat("1, ", 200) + "1]"
	literal := numbers + ".all(a, " + numbers + ".all(b, " + numbers + ".all(c, " + numbers + ".all(d, true))))"
	grow := "[this.s]" + strings.Repeat(".map(x, x + x)", 40) + ".all(x, size(x) >= 0)"
	lists := "[this.n]" + strings.Repeat(".map(x, x + x)", 40) + ".all(x, size(x) >= 0)"
	for name, tt := range map[string]struct {
		place, expr string
		small       string // of what a small payload says; "" is that it keeps the rule
	}{
		"loops over the payload":      {"message", loops, ""},
		"loops over a field":          {"field", "this.all(a, this.all(b, this.all(c, this.all(d, a + b + c + d >= 0))))", ""},
		"loops for each item":         {"items", numbers + ".all(a, " + numbers + ".all(b, a + b + this >= 0))", ""},
		"loops for each value":        {"values", numbers + ".all(a, " + numbers + ".all(b, a + b >= 0))", ""},
		"loops over literals":         {"message", literal, "could cost"},
		"a rule defined in the file":  {"predefined", literal, "could cost"},
		"a text that grows":           {"message", grow, "adds values up to"},
		"a list that grows":           {"message", lists, "adds values up to"},
		"one that grows less":         {"message", "[this.n]" + strings.Repeat(".map(x, x + x)", 9) + ".all(x, size(x) >= 0)", ""},
		"one of the file's own":       {"predefined", "this % 2 == 1", ""},
		"an expression of great size": {"message", "[" + strings.Repeat("1,", maxExpression/2+1) + "1].all(a, true)", "too long"},
		"an ordinary one":             {"message", "!has(this.s) || this.s.matches('^x+$') && this.n.all(a, a >= 0)", ""},
	} {
		c := Compile(parse(t, schema.Protobuf, hostile(tt.place, tt.expr)), nil, nil, nil)
		bad := c.Check(hostilePayload(2), c.Costs())
		if got := message(bad); tt.small == "" && bad != nil || !strings.Contains(got, tt.small) {
			t.Errorf("%s, small: %q, want %q", name, got, tt.small)
		}
		want := "could cost"
		if tt.small != "" || !strings.Contains(name, "loops") {
			want = tt.small
		}
		bad = c.Check(hostilePayload(3000), c.Costs())
		if got := message(bad); want == "" && bad != nil || !strings.Contains(got, want) {
			t.Errorf("%s, large: %q, want %q", name, got, want)
		}
	}
}

func message(v *Violation) string {
	if v == nil {
		return ""
	}
	return v.Message
}
