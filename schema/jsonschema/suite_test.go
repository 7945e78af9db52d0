package jsonschema

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// suiteDir finds the official test suite: JSON_SCHEMA_TEST_SUITE, or beside the
// project. Empty: it is not there, and make test says so.
func suiteDir() string {
	dir := os.Getenv("JSON_SCHEMA_TEST_SUITE")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data", "json-schema-test-suite")
	}
	if _, err := os.Stat(filepath.Join(dir, "tests")); err != nil {
		return ""
	}
	return dir
}

type suiteGroup struct {
	Description string
	Schema      json.RawMessage
	Tests       []suiteCase
}

type suiteCase struct {
	Description string
	Data        json.RawMessage
	Valid       bool
}

// suiteDrafts are the folders of the suite, with the number of required tests
// in the snapshot that we follow and the dialect to declare in each schema.
var suiteDrafts = []struct {
	name, dialect string
	tests         int
}{
	{"draft4", "http://json-schema.org/draft-04/schema#", 618},
	{"draft6", "http://json-schema.org/draft-06/schema#", 839},
	{"draft7", "http://json-schema.org/draft-07/schema#", 927},
	{"draft2019-09", "https://json-schema.org/draft/2019-09/schema", 1259},
	{"draft2020-12", "https://json-schema.org/draft/2020-12/schema", 1299},
}

// remotes are the suite's texts that schemas refer to, as references.
func remotes(t *testing.T, dir string) []schema.Named {
	var refs []schema.Named
	root := filepath.Join(dir, "remotes")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		refs = append(refs, schema.Named{Name: "http://localhost:1234/" + filepath.ToSlash(name), Text: string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return refs
}

// withDialect declares the draft in a schema that does not: ours default to 7.
func withDialect(text json.RawMessage, dialect string) string {
	t, err := parseTree(string(text), false)
	if err != nil || t.kind != '{' || t.get("$schema") != nil {
		return string(text)
	}
	t.keys = append([]string{"$schema"}, t.keys...)
	t.kids = append([]*tree{{kind: '"', text: dialect}}, t.kids...)
	return string(t.plain(nil))
}

// plain writes a tree in its own order.
func (t *tree) plain(b []byte) []byte {
	switch t.kind {
	case '{':
		b = append(b, '{')
		for i, k := range t.keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(quote(b, k), ':')
			b = t.kids[i].plain(b)
		}
		return append(b, '}')
	case '[':
		b = append(b, '[')
		for i, k := range t.kids {
			if i > 0 {
				b = append(b, ',')
			}
			b = k.plain(b)
		}
		return append(b, ']')
	case '"':
		return quote(b, t.text)
	}
	return append(b, t.text...)
}

// TestSuite runs the official suite through the library as we set it up, through
// our decoder, and into columns: the verdicts must be the suite's.
func TestSuite(t *testing.T) {
	dir := suiteDir()
	if dir == "" {
		t.Log("the JSON Schema test suite is not here: only the cases of this package run")
		return
	}
	refs := remotes(t, dir)
	for _, draft := range suiteDrafts {
		t.Run(draft.name, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(dir, "tests", draft.name, "*.json"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no tests: %v", err)
			}
			tests, fast, columns := 0, 0, 0
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var groups []suiteGroup
				if err := json.Unmarshal(text, &groups); err != nil {
					t.Fatal(err)
				}
				for _, g := range groups {
					r := newSuiteRun(t, filepath.Base(file)+": "+g.Description, withDialect(g.Schema, draft.dialect), refs)
					for _, c := range g.Tests {
						tests++
						r.run(t, c)
					}
					fast += r.fast
					columns += r.columns
				}
			}
			t.Logf("%s: %d tests through the library and our decoder, %d of them on the fast path, %d into columns", draft.name, tests, fast, columns)
			if tests != draft.tests {
				t.Errorf("got %d tests, want %d", tests, draft.tests)
			}
			if fast < tests/2 {
				t.Errorf("only %d of %d tests take the fast path", fast, tests)
			}
		})
	}
}

// suiteRun is one schema of the suite.
type suiteRun struct {
	name          string
	lib           *js.Schema
	ours          *Schema
	formats       bool // a schema whose format we assert where the suite does not
	fast, columns int
}

func newSuiteRun(t *testing.T, name, text string, refs []schema.Named) *suiteRun {
	t.Helper()
	if !strings.Contains(text, "localhost:1234") {
		refs = nil
	}
	s, err := Parse(schema.Source{Type: schema.JSON, Text: text, References: refs})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	r := &suiteRun{name: name, ours: s.(*Schema)}
	r.lib = r.ours.compiled
	for _, f := range []string{"date-time", "date", "time", "uuid"} {
		r.formats = r.formats || strings.HasPrefix(name, "format.json") && strings.Contains(compact(text), `"format":"`+f+`"`)
	}
	return r
}

func (r *suiteRun) run(t *testing.T, c suiteCase) {
	t.Helper()
	v, _ := decode(c.Data)
	if got := r.lib.Validate(v) == nil; got != c.Valid && !r.formats {
		t.Errorf("%s: %s: library: got %v, want %v", r.name, c.Description, got, c.Valid)
	}
	fast, _ := r.ours.FastPath()
	d, err := r.ours.Decoder(nil)
	if err != nil && r.ours.decoder == nil {
		t.Errorf("%s: no decoder: %v", r.name, err)
		return
	}
	got := r.ours.decoder.Validate(c.Data) == nil
	if r.formats {
		if want := r.lib.Validate(v) == nil; got != want {
			t.Errorf("%s: %s: got %v, the library with formats says %v", r.name, c.Description, got, want)
		}
		return
	}
	if got != c.Valid {
		t.Errorf("%s: %s: got %v, want %v (fast path %v) %v", r.name, c.Description, got, c.Valid, fast, r.ours.decoder.Validate(c.Data))
	}
	if fast {
		r.fast++
	}
	if err != nil {
		return
	}
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Errorf("%s: %v", r.name, err)
		return
	}
	r.columns++
	if got := d.Decode(c.Data, rows) == nil; got != c.Valid {
		t.Errorf("%s: %s: into columns: got %v, want %v: %v", r.name, c.Description, got, c.Valid, d.Decode(c.Data, rows))
	}
	if batch := rows.Batch(); batch.NumRows() != 0 != c.Valid {
		t.Errorf("%s: %s: got %d rows", r.name, c.Description, batch.NumRows())
	}
}
