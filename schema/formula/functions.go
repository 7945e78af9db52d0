package formula

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// function is what a call does to its arguments, by their kinds.
type function struct {
	takes [][]kind // one list for each form
	gives kind
	do    func(r *room, args []value) (value, error)
}

// maxArgs is the most arguments that a function takes.
const maxArgs = 3

const (
	microsSecond = int64(time.Second / time.Microsecond)
	microsDay    = 24 * 60 * 60 * microsSecond
)

var (
	oneTime = [][]kind{{kindTime}}
	oneText = [][]kind{{kindText}}
)

// functions are those that can be called, by name; several forms of one name give
// different kinds. It is never written.
var functions = map[string][]function{
	"date": {
		{oneTime, kindDate, func(_ *room, a []value) (value, error) { return value{i: floor(a[0].i, microsDay)}, nil }},
		{oneText, kindDate, func(_ *room, a []value) (value, error) { return parseDate(a[0].s) }},
	},
	"timestamp":        {{oneText, kindTime, func(_ *room, a []value) (value, error) { return parseTime(a[0].s) }}},
	"timestamp_millis": {{[][]kind{{kindLong}}, kindTime, func(_ *room, a []value) (value, error) { return times(a[0].i, 1000) }}},
	"timestamp_micros": {{[][]kind{{kindLong}}, kindTime, func(_ *room, a []value) (value, error) { return a[0], nil }}},
	"timestamp_seconds": {{[][]kind{{kindLong}}, kindTime,
		func(_ *room, a []value) (value, error) { return times(a[0].i, microsSecond) }}},
	"year":  calendar(func(t time.Time) int { return t.Year() }),
	"month": calendar(func(t time.Time) int { return int(t.Month()) }),
	"day":   calendar(func(t time.Time) int { return t.Day() }),
	"hour": {{oneTime, kindLong, func(_ *room, a []value) (value, error) {
		return value{i: floor(a[0].i, 3600*microsSecond) - 24*floor(a[0].i, microsDay)}, nil
	}}},
	"lower":  {{oneText, kindText, changed(bytes.ToLower)}},
	"upper":  {{oneText, kindText, changed(bytes.ToUpper)}},
	"trim":   {{oneText, kindText, changed(bytes.TrimSpace)}},
	"length": {{oneText, kindLong, func(_ *room, a []value) (value, error) { return value{i: int64(utf8.RuneCount(a[0].s))}, nil }}},
	"substr": {{[][]kind{{kindText, kindLong}, {kindText, kindLong, kindLong}}, kindText, func(_ *room, a []value) (value, error) {
		return substr(a)
	}}},
	"split_part": {{[][]kind{{kindText, kindText, kindLong}}, kindText, func(_ *room, a []value) (value, error) { return splitPart(a) }}},
	"abs": {
		{[][]kind{{kindLong}}, kindLong, func(_ *room, a []value) (value, error) {
			return checked(max(a[0].i, -a[0].i), a[0].i == math.MinInt64)
		}},
		{[][]kind{{kindDouble}}, kindDouble, func(_ *room, a []value) (value, error) { return value{f: math.Abs(a[0].f)}, nil }},
	},
	"round": rounding(math.Round),
	"floor": rounding(math.Floor),
	"ceil":  rounding(math.Ceil),
	"not":   {{[][]kind{{kindBool}}, kindBool, func(_ *room, a []value) (value, error) { return value{i: 1 - a[0].i}, nil }}},
	opMinus: {
		{[][]kind{{kindLong}}, kindLong, func(_ *room, a []value) (value, error) { return checked(-a[0].i, a[0].i == math.MinInt64) }},
		{[][]kind{{kindDouble}}, kindDouble, func(_ *room, a []value) (value, error) { return value{f: -a[0].f}, nil }},
	},
}

// call compiles a function. It is null where an argument is.
func call(name string, parts []part) (kind, eval, error) {
	forms, known := functions[name]
	if !known {
		var names []string
		for n := range functions {
			if n != opMinus {
				names = append(names, n)
			}
		}
		names = append(names, "cast", "coalesce", "if")
		slices.Sort(names)
		return 0, nil, fmt.Errorf("there is no function %s; those that are: %s", name, strings.Join(names, ", "))
	}
	for _, f := range forms {
		for _, takes := range f.takes {
			if slices.EqualFunc(takes, parts, func(k kind, p part) bool { return is(p, k) }) {
				return f.gives, calling(f.do, parts), nil
			}
		}
	}
	var have, want []string
	for _, p := range parts {
		have = append(have, p.kind.String())
	}
	for _, f := range forms {
		for _, takes := range f.takes {
			var list []string
			for _, k := range takes {
				list = append(list, k.String())
			}
			want = append(want, "("+strings.Join(list, ", ")+")")
		}
	}
	return 0, nil, fmt.Errorf("%s takes %s, not (%s)", name, strings.Join(want, " or "), strings.Join(have, ", "))
}

func calling(do func(*room, []value) (value, error), parts []part) eval {
	args := make([]value, len(parts)) // a program computes one value at a time
	return func(r *room) (value, error) {
		for i, p := range parts {
			v, err := p.eval(r)
			if err != nil || v.null {
				return null, err
			}
			args[i] = v
		}
		return do(r, args)
	}
}

// calendar is a part of a date, or of a time in UTC.
func calendar(of func(time.Time) int) []function {
	return []function{
		{oneTime, kindLong, func(_ *room, a []value) (value, error) {
			return value{i: int64(of(time.Unix(floor(a[0].i, microsSecond), 0).UTC()))}, nil
		}},
		{[][]kind{{kindDate}}, kindLong, func(_ *room, a []value) (value, error) {
			return value{i: int64(of(time.Unix(a[0].i*24*3600, 0).UTC()))}, nil
		}},
	}
}

// changed is a text that a function makes of another.
func changed(by func([]byte) []byte) func(*room, []value) (value, error) {
	return func(_ *room, a []value) (value, error) {
		if len(a[0].s) > maxBytes {
			return null, errLarge
		}
		return value{s: by(a[0].s)}, nil
	}
}

func rounding(by func(float64) float64) []function {
	return []function{
		{[][]kind{{kindLong}}, kindLong, func(_ *room, a []value) (value, error) { return a[0], nil }},
		{[][]kind{{kindDouble}}, kindDouble, func(_ *room, a []value) (value, error) { return value{f: by(a[0].f)}, nil }},
	}
}

func times(i, by int64) (value, error) {
	return checked(i*by, i > math.MaxInt64/by || i < math.MinInt64/by)
}

// Forms of dates and times in texts.
const (
	dateForm = "2006-01-02"
	timeForm = "2006-01-02 15:04:05.999999999"
)

func parseDate(s []byte) (value, error) {
	t, err := time.Parse(dateForm, string(s))
	if err != nil {
		return null, fmt.Errorf("%q, which is no date as 2026-01-31", preview(s))
	}
	return value{i: t.Unix() / (24 * 3600)}, nil
}

func parseTime(s []byte) (value, error) {
	t, err := time.Parse(time.RFC3339Nano, string(s))
	if err != nil {
		t, err = time.Parse(timeForm, string(s))
	}
	if err != nil {
		return null, fmt.Errorf("%q, which is no time as 2026-01-31T12:00:00Z", preview(s))
	}
	return value{i: t.UnixMicro()}, nil
}

// preview is the beginning of a text, for messages.
func preview(s []byte) []byte {
	const most = 32
	return s[:min(len(s), most)]
}

// substr is SQL's: characters from a place, the first being 1.
func substr(a []value) (value, error) {
	s, from, n := a[0].s, a[1].i, int64(math.MaxInt64)
	if len(a) == maxArgs {
		n = a[2].i
	}
	if from < 1 || n < 0 {
		return null, errors.New("a substr that begins before 1, or is shorter than nothing")
	}
	return value{s: skipped(s, from-1, n)}, nil
}

// skipped is what is left behind the first characters, so many at most.
func skipped(s []byte, skip, n int64) []byte {
	at := 0
	for ; skip > 0 && at < len(s); skip-- {
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	end := at
	for ; n > 0 && end < len(s); n-- {
		_, size := utf8.DecodeRune(s[end:])
		end += size
	}
	return s[at:end]
}

// splitPart is the nth piece of a text between separators, the first being 1; an
// empty one where there are not so many.
func splitPart(a []value) (value, error) {
	s, sep, n := a[0].s, a[1].s, a[2].i
	if len(sep) == 0 || n < 1 {
		return null, errors.New("a split_part by nothing, or before 1")
	}
	for ; n > 1; n-- {
		_, rest, found := bytes.Cut(s, sep)
		if !found {
			return value{s: nil}, nil
		}
		s = rest
	}
	s, _, _ = bytes.Cut(s, sep)
	return value{s: s}, nil
}

// castNames are the types that a cast takes, by their names in SQL and here.
var castNames = map[string]kind{
	"boolean": kindBool, "bool": kindBool, "long": kindLong, "bigint": kindLong, "int": kindLong, "integer": kindLong,
	"double": kindDouble, "float": kindDouble, "real": kindDouble, "string": kindText, "text": kindText, "varchar": kindText,
	"date": kindDate, "timestamp": kindTime, "binary": kindBytes,
}

// cast compiles a change of kind.
func cast(p part, name string) (kind, eval, error) {
	to, known := castNames[name]
	if !known {
		return 0, nil, fmt.Errorf("cast as %s: use boolean, long, double, string, binary, date or timestamp", name)
	}
	if p.kind == to || p.kind == kindNull {
		return to, p.eval, nil
	}
	do := conversion(p.kind, to)
	if do == nil {
		return 0, nil, fmt.Errorf("%s cannot be cast as %s", p.kind, to)
	}
	return to, calling(func(r *room, a []value) (value, error) { return do(r, a[0]) }, []part{p}), nil
}

// conversion makes a value of another kind; nil: there is none.
func conversion(from, to kind) func(*room, value) (value, error) {
	switch to {
	case kindText:
		return func(r *room, v value) (value, error) {
			if from == kindBytes && !utf8.Valid(v.s) {
				return null, errors.New("bytes that are no UTF-8")
			}
			at := len(r.bytes)
			r.bytes = appendText(r.bytes, from, v)
			return value{s: r.bytes[at:len(r.bytes):len(r.bytes)]}, nil
		}
	case kindBytes:
		if from == kindText {
			return func(_ *room, v value) (value, error) { return v, nil }
		}
	case kindLong:
		return toLong(from)
	case kindDouble:
		switch from {
		case kindLong:
			return func(_ *room, v value) (value, error) { return value{f: float64(v.i)}, nil }
		case kindText:
			return func(_ *room, v value) (value, error) {
				f, err := strconv.ParseFloat(string(v.s), 64)
				if err != nil {
					return null, fmt.Errorf("%q, which is no number", preview(v.s))
				}
				return value{f: f}, nil
			}
		}
	case kindDate:
		switch from {
		case kindTime:
			return func(_ *room, v value) (value, error) { return value{i: floor(v.i, microsDay)}, nil }
		case kindText:
			return func(_ *room, v value) (value, error) { return parseDate(v.s) }
		}
	case kindTime:
		switch from {
		case kindDate:
			return func(_ *room, v value) (value, error) { return times(v.i, microsDay) }
		case kindText:
			return func(_ *room, v value) (value, error) { return parseTime(v.s) }
		}
	}
	return nil
}

// toLong makes whole numbers. Doubles lose their fraction, as in SQL.
func toLong(from kind) func(*room, value) (value, error) {
	switch from {
	case kindBool:
		return func(_ *room, v value) (value, error) { return v, nil }
	case kindDouble:
		return func(_ *room, v value) (value, error) {
			return checked(int64(v.f), math.IsNaN(v.f) || v.f >= 1<<63 || v.f < -1<<63)
		}
	case kindText:
		return func(_ *room, v value) (value, error) {
			i, err := strconv.ParseInt(string(v.s), 10, 64)
			if err != nil {
				return null, fmt.Errorf("%q, which is no whole number", preview(v.s))
			}
			return value{i: i}, nil
		}
	}
	return nil
}

func appendText(b []byte, k kind, v value) []byte {
	switch k {
	case kindBool:
		return strconv.AppendBool(b, v.i != 0)
	case kindLong:
		return strconv.AppendInt(b, v.i, 10)
	case kindDouble:
		return strconv.AppendFloat(b, v.f, 'g', -1, 64)
	case kindDate:
		return time.Unix(v.i*24*3600, 0).UTC().AppendFormat(b, dateForm)
	case kindTime:
		return time.UnixMicro(v.i).UTC().AppendFormat(b, time.RFC3339Nano)
	}
	return append(b, v.s...)
}
