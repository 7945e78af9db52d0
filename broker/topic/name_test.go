package topic

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "A-b.C_9": true, "...": true, strings.Repeat("x", 249): true, "__consumer_offsets": true,
		"": false, ".": false, "..": false, "a b": false, "a/b": false, "ä": false, "a\x00": false, strings.Repeat("x", 250): false,
	} {
		if got := CheckName(name) == nil; got != want {
			t.Errorf("%.20q: got %t, want %t", name, got, want)
		}
	}
}

func TestTableName(t *testing.T) {
	for topic, want := range map[string]string{
		"orders":      "orders",
		"Orders":      "_4f_rders",
		"a.b-c_d":     "a_2e_b_2d_c_d",
		"a_2e_b":      "a_5f_2e_b",
		"_2e.":        "_5f_2e_2e_",
		"__x":         "__x",
		"_aa":         "_aa",
		"_aag":        "_aag",
		"_5f_2e_":     "_5f_5f_5f_2e_",
		"_schemas":    "_schemas",
		"user_id_log": "user_id_log",
	} {
		if got := TableName(topic); got != want {
			t.Errorf("%q: got %q, want %q", topic, got, want)
		}
		if got := decodeTable(want); got != topic {
			t.Errorf("%q reads back as %q, want %q", want, got, topic)
		}
	}
}

// decodeTable undoes TableName: that it can be undone is why no two topics
// share a table.
func decodeTable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '_' && i+3 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) && s[i+3] == '_' {
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c - 'a' + 10
}

func FuzzTableName(f *testing.F) {
	for _, s := range []string{"a.b", "a_2e_b", "_2e.", "_5f_5f_", "A_b__9c.", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		table := TableName(topic)
		if got := decodeTable(table); got != topic {
			t.Errorf("%q is table %q, which reads back as %q", topic, table, got)
		}
		for i := range len(table) {
			if !plain(table[i]) && table[i] != '_' {
				t.Errorf("%q is table %q, which is not portable", topic, table)
			}
		}
	})
}

func TestSuggest(t *testing.T) {
	known := []string{"retention.ms", "retention.bytes", "segment.ms", "tarn.table.formats"}
	for name, want := range map[string]string{
		"retention.m": "retention.ms", "retetnion.ms": "retention.ms", "segmentms": "segment.ms",
		"tarn.table.format": "tarn.table.formats", "x": "", "": "", "completely.else": "", "Retention.Ms": "retention.ms",
	} {
		if got := Suggest(name, known); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestParseID(t *testing.T) {
	if got, err := ParseID(id(7)); err != nil || got.String() != id(7) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, s := range []string{"", "00", strings.Repeat("g", 32), strings.Repeat("A", 32)} {
		if _, err := ParseID(s); err == nil {
			t.Errorf("%q is taken for an id", s)
		}
	}
}
