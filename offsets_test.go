package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestParseSpan reads rpk's words for parts of logs.
func TestParseSpan(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	show := func(p logPlace) string {
		switch p.kind {
		case atStart:
			return "start"
		case atEnd:
			return "end"
		case atTime:
			return p.time.UTC().Format("2006-01-02T15:04:05.000")
		}
		return fmt.Sprint([]string{atOffset: "", afterStart: "+", beforeEnd: "-"}[p.kind], p.n)
	}
	for _, tt := range []struct{ word, want string }{
		{"start", "start"}, {"end", "end"}, {"oldest", "start"}, {"newest", "end"},
		{"5", "5"}, {"+5", "+5"}, {"-5", "-5"}, {"0", "0"},
		{"5:9", "5..9"}, {"start:end", "start..end"}, {"+1:-1", "+1..-1"}, {":9", "start..9"}, {":end", "start..end"}, {"-10:end", "-10..end"},
		{"@2026-01-30", "2026-01-30T00:00:00.000"},
		{"@2026-01-30T10:20:30Z", "2026-01-30T10:20:30.000"},
		{"@2026-01-30T10:20:30+02:00", "2026-01-30T08:20:30.000"},
		{"@1769760000", "2026-01-30T08:00:00.000"}, {"@1769760000123", "2026-01-30T08:00:00.123"},
		{"@-1h", "2026-01-31T11:00:00.000"}, {"@-2d", "2026-01-29T12:00:00.000"}, {"@now", "2026-01-31T12:00:00.000"},
		{"@-1h:@now", "2026-01-31T11:00:00.000..2026-01-31T12:00:00.000"},
		{"@-24h:-23h", "2026-01-30T12:00:00.000..2026-01-30T13:00:00.000"},
		{"@-1h:end", "2026-01-31T11:00:00.000..end"},
		{"5:", "5"}, {"-5:", "-5"}, {"@-1h:", "2026-01-31T11:00:00.000"}, {"@2026-01-30T10:20:30Z:", "2026-01-30T10:20:30.000"},
		{"@:-1h", "start..2026-01-31T11:00:00.000"}, {"@:2026-01-30T10:20:30Z", "start..2026-01-30T10:20:30.000"},
		{"@2026-01-30T10:20:30Z:2026-01-30T11:00:00Z", "2026-01-30T10:20:30.000..2026-01-30T11:00:00.000"},
		{"2026-01-30T10:20:30Z", "2026-01-30T10:20:30.000"},
		{"yesterday", "! none of start, end, an offset"}, {"", "! none of"}, {"@", "! no time"}, {"@5", "! no time"},
		{"99999999999999999999", "! none of"}, {"@+1h", "! no time"}, {"--5", "! none of"}, {"+-5", "! none of"},
	} {
		s, err := parseSpan(tt.word, now)
		if text, refused := strings.CutPrefix(tt.want, "! "); refused {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%q: got %v, %v, want a refusal with %q", tt.word, s, err, text)
			}
			continue
		}
		got := show(s.from)
		if s.bounded {
			got += ".." + show(s.to)
		}
		if err != nil || got != tt.want {
			t.Errorf("%q: got %s, %v, want %s", tt.word, got, err, tt.want)
		}
	}
}

func FuzzParseSpan(f *testing.F) {
	for _, w := range []string{"start", "@-1h:@now", "+1:-1", "@2026-01-30T10:20:30Z:end", ":", "@:now", "5:"} {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, word string) {
		s, err := parseSpan(word, time.Unix(1e9, 0))
		if err == nil && (s.from.n < 0 || s.to.n < 0) {
			t.Errorf("%q: negative count %+v", word, s)
		}
	})
}
