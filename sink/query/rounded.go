package query

import (
	"fmt"
	"slices"
	"strings"
)

// What is lost of long decimals where a statement reckons with them, a result says:
// comparisons that compared.go leaves to SQLite are among it.

// reckoning are functions that take numbers, in which a long decimal is a float.
var reckoning = [...]string{"sum", "total", "avg", "abs", "round"}

// rounded names the columns of long decimals that the statement reckons with, as it is
// run.
func (s *session) rounded() []string {
	w := newComparer(s)
	var out, in []string // in: what the brackets belong to that the token is in
	for i, t := range w.tokens {
		switch {
		case w.at(i, "("):
			of := ""
			if i > 0 && w.tokens[i-1].kind == word {
				of = strings.ToLower(w.tokens[i-1].text)
			}
			in = append(in, of)
		case w.at(i, ")") && len(in) > 0:
			in = in[:len(in)-1]
		}
		if !w.long[strings.ToLower(t.text)] || !t.named() || w.at(i+1, ".") {
			continue
		}
		first := w.head(i)
		n := len(in)
		whole := n > 3 && in[n-1] == keyName && in[n-4] == "cast" && in[n-3] == backName // likewise
		exact := n > 0 && !whole && slices.Contains([]string{sumName, avgName, keyName}, in[n-1])
		call := slices.ContainsFunc(in, func(of string) bool { return slices.Contains(reckoning[:], of) }) ||
			whole || n > 1 && in[n-1] == "cast" && (in[n-2] == "min" || in[n-2] == "max") // by asNumbers
		if name := t.text; !exact && (call || w.reckons(first-1) || w.reckons(i+1) || w.inexactly(i)) && !slices.ContainsFunc(out, func(o string) bool { return strings.EqualFold(o, name) }) {
			out = append(out, name)
		}
	}
	return out
}

// reckons reports whether an operator on numbers stands at a place.
func (w *writer) reckons(i int) bool {
	return w.at(i, "+") || w.at(i, "-") || w.at(i, "*") || w.at(i, "/") || w.at(i, "%")
}

// noteRounded says in the result that digits are lost, if any are: if a value of more
// digits than a float has was asked for, and the statement reckons with such.
func (s *session) noteRounded() {
	if !s.long || s.st.explain {
		return
	}
	if names := s.rounded(); len(names) > 0 {
		s.out.Note = fmt.Sprintf("%s has decimals of more than 15 digits: where the statement reckons with them, or compares what it has reckoned, they are floats, of which 15 to 17 digits are right; comparisons of a column with a number or with another one are exact, and so are sum, avg, min and max of a column as columns of the result", strings.Join(names, ", "))
	}
}
