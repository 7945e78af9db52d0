package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestDiffLines(t *testing.T) {
	for _, tt := range []struct{ from, to, want string }{
		{"a\nb\nc", "a\nb\nc", ""},
		{"a\nb\nc\n", "a\nc", "- b"},
		{"a\nc", "a\nb\nc", "+ b"},
		{"a\nb", "c\nb", "- a|+ c"},
		{"", "x", "- |+ x"},
		{"a\nb\nc\nd", "b\nx\nd\ne", "- a|- c|+ x|+ e"},
		{strings.Repeat("a\n", maxDiffLines+1), "a", "2001 lines become 1"},
	} {
		if got := strings.Join(diffLines(tt.from, tt.to), "|"); got != tt.want {
			t.Errorf("%.20q to %.20q: got %q, want %q", tt.from, tt.to, got, tt.want)
		}
	}
}

// TestParseWanted reads the file of tarn apply.
func TestParseWanted(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "configs map[]"},
		{"topics: [{name: a, configs: {retention.ms: 9223372036854775807, preallocate: true, cleanup.policy: [delete]}}]",
			"configs map[cleanup.policy:delete preallocate:true retention.ms:9223372036854775807]"},
		{"topics: [{name: a, configs: {confluent.value.schema.validation: true, retention.ms: null}}]",
			"configs map[tarn.value.schema.validation:id] reset [retention.ms]"},
		{"topics: [{name: a, configs: {retention.ms: {}}}]", "! is no value"},
		{"topics: [{name: a, configs: {redpanda.iceberg.mode: null}}]", "! only Tarn's own name"},
		{"topics: [{nane: a}]", `! line 1: unknown field "nane"`},
		{"topics:\n- name: a\n  level: FULL\nlevel: FULL", `! one of lines 3, 4: unknown field "level"`},
		{"topics: {name: a}", "! topics: an array is wanted, and here is an object"},
		{"topics: [", "! "},
		{"1", "! the whole of it: an object is wanted, and here is a number"},
	} {
		got := "configs"
		w, err := parseWanted([]byte(tt.text))
		if err == nil && len(w.Topics) == 0 {
			w.Topics = []wantedTopic{{}}
		}
		if err == nil {
			set, reset, configErr := w.Topics[0].configs()
			if err, got = configErr, fmt.Sprint("configs ", set); len(reset) > 0 {
				got += fmt.Sprint(" reset ", reset)
			}
		}
		if text, refused := strings.CutPrefix(tt.want, "! "); refused {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: got %v, want a refusal with %q", tt.text, err, text)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.text, got, err, tt.want)
		}
	}
}

// TestWantedRule makes access rules and names of quotas.
func TestWantedRule(t *testing.T) {
	r := wantedRule{Principals: []string{"ann", "*"}, Operations: []string{"read", "write"}, Topic: "shop.", Prefix: true}
	got, err := r.bindings()
	if err != nil || len(got) != 4 || got[3].Principal != "User:*" || got[3].Operation.String() != "WRITE" && got[3].Operation.String() != "write" || got[3].Host != "*" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []wantedRule{{}, {Principals: []string{"a"}, Operations: []string{"read"}}, {Principals: []string{"a"}, Operations: []string{"fly"}, Topic: "t"}} {
		if all, err := bad.bindings(); err == nil {
			t.Errorf("%+v gives %+v", bad, all)
		}
	}
	q := wantedQuota{User: "ann", ClientID: "*"}
	if e, name := q.entity(); name != "user=ann client-id=*" || len(e) != 2 || *e[0].Name != "ann" || e[1].Name != nil {
		t.Errorf("quota of %q: %v", name, e)
	}
}
