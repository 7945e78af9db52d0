package topic

import (
	"fmt"
	"strings"
	"testing"
)

func TestTableStart(t *testing.T) {
	for _, tt := range []struct{ text, want, wrong string }{
		{text: "earliest", want: "{false -1 -1 map[]}"},
		{text: "latest", want: "{true -1 -1 map[]}"},
		{text: "offset:0", want: "{false -1 0 map[]}"},
		{text: "offset:42", want: "{false -1 42 map[]}"},
		{text: "offset:0=5,2=7", want: "{false -1 -1 map[0:5 2:7]}"},
		{text: "offset:0=5, 2=7", want: "{false -1 -1 map[0:5 2:7]}"},
		{text: "timestamp:1700000000000", want: "{false 1700000000000 -1 map[]}"},
		{text: "timestamp:2023-11-14T22:13:20Z", want: "{false 1700000000000 -1 map[]}"},
		{text: "timestamp:2023-11-14T23:13:20+01:00", want: "{false 1700000000000 -1 map[]}"},
		{text: "", wrong: "no such start"},
		{text: "newest", wrong: "use earliest, latest"},
		{text: "latest:1", wrong: "no such start"},
		{text: "offset", wrong: "no such start"},
		{text: "offset:", wrong: "no offset"},
		{text: "offset:-1", wrong: "no offset"},
		{text: "offset:0=1,0=2", wrong: "twice"},
		{text: "offset:-1=1", wrong: "no offset"},
		{text: "offset:0=-1", wrong: "no offset"},
		{text: "offset:99999999999=1", wrong: "no offset"},
		{text: "timestamp:yesterday", wrong: "2026-01-31T12:00:00Z"},
		{text: "timestamp:-1", wrong: "that old"},
	} {
		d, _ := Lookup("tarn.table.start")
		var c Config
		err := d.set(&c, tt.text)
		switch {
		case tt.wrong == "" && (err != nil || fmt.Sprint(c.TableStart) != tt.want):
			t.Errorf("%q: %v, %v, want %s", tt.text, c.TableStart, err, tt.want)
		case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)):
			t.Errorf("%q: %v, want a refusal with %q", tt.text, err, tt.wrong)
		}
	}
}

func TestTableLife(t *testing.T) {
	for _, tt := range []struct {
		configs map[string]string
		wrong   string
	}{
		{configs: map[string]string{"tarn.table.log": "until_commit", "tarn.table.formats": "delta"}},
		{configs: map[string]string{"tarn.table.log": "until_commit"}, wrong: "set tarn.table.formats"},
		{configs: map[string]string{"tarn.table.log": "until_commit", "tarn.table.formats": "delta", "cleanup.policy": "compact"}, wrong: "cleanup.policy=delete"},
		{configs: map[string]string{"tarn.table.start": "offset:2=5"}},
		{configs: map[string]string{"tarn.table.start": "offset:3=5"}, wrong: "there is no partition 3"},
	} {
		c, err := consistent(nil, tt.configs)
		if err == nil {
			err = checkLife(&Topic{Name: "x", Partitions: 3, Overrides: tt.configs, Config: c})
		}
		if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%v: %v, want %q", tt.configs, err, tt.wrong)
		}
	}
}
