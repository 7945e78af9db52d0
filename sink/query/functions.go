package query

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"modernc.org/sqlite"
)

// registerFunctions puts functions of ours in the place of SQLite's whose time grows
// with the square of their arguments, or worse, and which nothing can interrupt.
// What they answer is the same.
func registerFunctions(d *sqlite.Driver) error {
	scalar := func(name string, args int32, f func(args []driver.Value) (driver.Value, error)) error {
		return d.RegisterFunction(name, &sqlite.FunctionImpl{
			NArgs: args, Deterministic: true, VolatileArgs: true,
			Scalar: func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) { return f(args) },
		})
	}
	// A driver takes a name once; to SQLite, names in other cases are the same.
	return errors.Join(
		registerDecimals(d),
		scalar("like", 2, func(a []driver.Value) (driver.Value, error) { return like(a[0], a[1], 0) }),
		scalar("LIKE", 3, func(a []driver.Value) (driver.Value, error) {
			if a[2] == nil {
				return nil, nil
			}
			escape, size := utf8.DecodeRuneInString(asText(a[2]))
			if size == 0 || size != len(asText(a[2])) {
				return nil, errors.New("ESCAPE expression must be a single character")
			}
			return like(a[0], a[1], escape)
		}),
		scalar("glob", 2, func(a []driver.Value) (driver.Value, error) {
			if a[0] == nil || a[1] == nil {
				return nil, nil
			}
			return truth(matches(compileGlob(asText(a[0])), asText(a[1]), false)), nil
		}),
		scalar("instr", 2, instr),
		scalar("replace", 3, replace),
		scalar("json_patch", 2, func([]driver.Value) (driver.Value, error) {
			return nil, errors.New("json_patch is not offered: its time has no bound")
		}),
	)
}

func truth(ok bool) driver.Value {
	if ok {
		return int64(1)
	}
	return int64(0)
}

// asText is a value as SQLite converts it to text.
func asText(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		s := strconv.FormatFloat(v, 'g', 15, 64)
		if !strings.ContainsAny(s, ".eIN") {
			s += ".0"
		}
		return s
	}
	return ""
}

// instr is the position of the second argument in the first, from 1; in characters,
// or in bytes of blobs.
func instr(a []driver.Value) (driver.Value, error) {
	if a[0] == nil || a[1] == nil {
		return nil, nil
	}
	hay, isBlob := a[0].([]byte)
	needle, isBlob2 := a[1].([]byte)
	if isBlob && isBlob2 {
		return int64(bytes.Index(hay, needle) + 1), nil
	}
	s := asText(a[0])
	at := strings.Index(s, asText(a[1]))
	if at < 0 {
		return int64(0), nil
	}
	return int64(utf8.RuneCountInString(s[:at]) + 1), nil
}

// replace replaces all of the second argument in the first by the third.
func replace(a []driver.Value) (driver.Value, error) {
	if a[0] == nil || a[1] == nil || a[2] == nil {
		return nil, nil
	}
	s, from, to := asText(a[0]), asText(a[1]), asText(a[2])
	if from == "" {
		return strings.Clone(s), nil
	}
	if n := len(s) + strings.Count(s, from)*(len(to)-len(from)); n > maxValueBytes {
		return nil, fmt.Errorf("replace makes a text of %d bytes, more than %d", n, maxValueBytes)
	}
	return strings.Clone(strings.ReplaceAll(s, from, to)), nil
}

// piece is one step of a pattern.
type piece struct {
	any   bool   // any number of characters
	set   string // of [...] in GLOB, with ^ in front for all others
	one   bool   // any one character
	plain rune
}

func like(pattern, value driver.Value, escape rune) (driver.Value, error) {
	if pattern == nil || value == nil {
		return nil, nil
	}
	if _, blob := value.([]byte); blob { // as SQLite is built here: LIKE and blobs do not match
		return int64(0), nil
	}
	if _, blob := pattern.([]byte); blob {
		return int64(0), nil
	}
	p := asText(pattern)
	if len(p) > maxPattern {
		return nil, fmt.Errorf("LIKE pattern of %d bytes, more than %d", len(p), maxPattern)
	}
	var ps []piece
	escaped := false
	for _, r := range p {
		switch {
		case escape != 0 && r == escape && !escaped:
			escaped = true
			continue
		case r == '%' && !escaped:
			ps = append(ps, piece{any: true})
		case r == '_' && !escaped:
			ps = append(ps, piece{one: true})
		default:
			ps = append(ps, piece{plain: fold(r)})
		}
		escaped = false
	}
	return truth(matches(ps, asText(value), true)), nil
}

// maxPattern bounds a pattern in bytes: matching takes its length times that of the
// text, at worst.
const maxPattern = 500

// compileGlob reads a pattern of GLOB. One that is too long, or has an open [,
// matches nothing.
func compileGlob(p string) []piece {
	var ps []piece
	if len(p) > maxPattern {
		return []piece{{set: " "}, {set: "^"}}
	}
	for len(p) > 0 {
		r, size := utf8.DecodeRuneInString(p)
		switch r {
		case '*':
			ps = append(ps, piece{any: true})
		case '?':
			ps = append(ps, piece{one: true})
		case '[':
			body := 1
			if strings.HasPrefix(p[body:], "^") {
				body++
			}
			if strings.HasPrefix(p[body:], "]") {
				body++
			}
			end := strings.IndexByte(p[body:], ']')
			if end < 0 {
				return []piece{{set: " "}, {set: "^"}}
			}
			ps, size = append(ps, piece{set: p[1 : body+end]}), body+end+1
		default:
			ps = append(ps, piece{plain: r})
		}
		p = p[size:]
	}
	return ps
}

func fold(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// matches holds a text against a pattern. It goes back to the last "any" only, so it
// takes length times length at worst.
func matches(ps []piece, s string, folded bool) bool {
	at, p := 0, 0
	star, starAt := -1, 0
	for at < len(s) {
		r, size := utf8.DecodeRuneInString(s[at:])
		if folded {
			r = fold(r)
		}
		switch {
		case p < len(ps) && ps[p].any:
			star, starAt = p, at
			p++
			continue
		case p < len(ps) && ps[p].takes(r):
			p, at = p+1, at+size
			continue
		case star < 0:
			return false
		}
		_, size = utf8.DecodeRuneInString(s[starAt:])
		starAt += size
		at, p = starAt, star+1
	}
	for p < len(ps) && ps[p].any {
		p++
	}
	return p == len(ps)
}

func (p piece) takes(r rune) bool {
	switch {
	case p.one:
		return true
	case p.set == "":
		return p.plain == r
	}
	set, not := strings.CutPrefix(p.set, "^")
	rs := []rune(set)
	found := false
	for i := 0; i < len(rs); i++ {
		if i+2 < len(rs) && rs[i+1] == '-' {
			found = found || rs[i] <= r && r <= rs[i+2]
			i += 2
		} else {
			found = found || rs[i] == r
		}
	}
	return found != not
}
