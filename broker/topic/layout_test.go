package topic

import (
	"fmt"
	"strings"
	"testing"
)

func TestParsePartition(t *testing.T) {
	for in, want := range map[string]string{
		"":    "[]",
		"  ":  "[]",
		"a.b": "[{identity 0 a.b}]",
		"day(kafka_timestamp), bucket(16, id), region": "[{day 0 kafka_timestamp} {bucket 16 id} {identity 0 region}]",
		"bucket(id,16),truncate( 4 , name )":           "[{bucket 16 id} {truncate 4 name}]",
		"Days(ts), months(d), void(x), identity(y)":    "[{day 0 ts} {month 0 d} {void 0 x} {identity 0 y}]",
		"bucket(4, a), bucket(8, a)":                   "[{bucket 4 a} {bucket 8 a}]",
		"year(a), hour(b)":                             "[{year 0 a} {hour 0 b}]",
	} {
		got, err := ParsePartition(in)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q is %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		",", "a,", "a b", "day()", "day(a, b)", "day(a", "day(a))", "day((a))", "bucket(id)", "bucket(0, id)", "bucket(-1, id)",
		"bucket(2147483648, id)", "bucket(x, y)", "weeks(a)", "a, a", "day(a), hour(a)", "day(a) x", ")", strings.Repeat("a,", 16) + "a",
		"a1,a2,a3,a4,a5,a6,a7,a8,a9,a10,a11,a12,a13,a14,a15,a16,a17",
	} {
		if got, err := ParsePartition(in); err == nil {
			t.Errorf("%q is taken as %v", in, got)
		}
	}
}

func TestParseSort(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "[]",
		"id":                        "[{id false true}]",
		"id desc":                   "[{id true false}]",
		"id desc nulls first, name": "[{id true true} {name false true}]",
		"a.b ASC NULLS LAST":        "[{a.b false false}]",
		"id nulls last":             "[{id false false}]",
	} {
		got, err := ParseSort(in)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q is %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{",", "id,", "id down", "id nulls", "id nulls first last", "id desc asc", "id, id desc", "f(x)", "id nulls first desc"} {
		if got, err := ParseSort(in); err == nil {
			t.Errorf("%q is taken as %v", in, got)
		}
	}
}

func FuzzLayout(f *testing.F) {
	for _, s := range []string{"day(kafka_timestamp), bucket(16, id), region", "id desc nulls last, name", "((", "a,,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if terms, err := ParsePartition(s); err == nil {
			for _, p := range terms {
				if p.Column == "" || (p.N > 0) != (p.Transform == "bucket" || p.Transform == "truncate") {
					t.Errorf("%q has the field %v", s, p)
				}
			}
		}
		if terms, err := ParseSort(s); err == nil && strings.TrimSpace(s) != "" && len(terms) == 0 {
			t.Errorf("%q sorts by nothing", s)
		}
	})
}
