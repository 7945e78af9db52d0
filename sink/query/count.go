package query

import "strings"

// counted is the table of a statement that only counts its rows, "select count(*)
// [as name] from [schema.]table", nil if it is another. Going over rows that are not
// looked at would take SQLite most of the time.
func (s *session) counted() *relation {
	t := s.st.tokens
	for _, want := range []string{"select", "count", "(", "*", ")"} {
		if len(t) == 0 || t[0].kind != word && t[0].kind != other || !strings.EqualFold(t[0].text, want) {
			return nil
		}
		t = t[1:]
	}
	if len(t) > 2 && t[0].is("as") {
		t = t[2:]
	}
	if len(t) < 2 || !t[0].is("from") {
		return nil
	}
	schema, name := "main", t[1]
	if t = t[2:]; len(t) == 2 && t[0].text == "." && (name.kind == word || name.kind == quoted) {
		schema, name, t = strings.ToLower(name.text), t[1], nil
	}
	if len(t) > 0 || name.kind != word && name.kind != quoted {
		return nil
	}
	for _, r := range s.relations {
		if r.schema == schema && strings.EqualFold(r.name, name.text) && r.refused == nil {
			return r
		}
	}
	return nil
}

// count answers a statement that only counts: from footers of files and headers of
// batches.
func (s *session) count(r *relation) error {
	b := r.readPlan("0", nil)
	n := int64(0)
	for c, err := range r.scan(b) {
		if err != nil {
			return s.fail(err)
		}
		if s.ctx.Err() != nil {
			return s.explain(s.ctx.Err())
		}
		if c.sel != nil {
			n += int64(len(c.sel))
		} else {
			n += int64(c.n)
		}
	}
	s.scanned = n
	return s.take([]any{n})
}
