package avro

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"

	"github.com/tarn-io/tarn/schema"
)

// rec is a record R with these fields.
func rec(fields ...string) string {
	return `{"type":"record","name":"R","fields":[` + strings.Join(fields, ",") + `]}`
}

// fld is a field; more are further members.
func fld(name, typ string, more ...string) string {
	return fmt.Sprintf(`{"name":"%s","type":%s%s}`, name, typ, strings.Join(append([]string{""}, more...), ","))
}

func enum(symbols, more string) string {
	return fmt.Sprintf(`{"type":"enum","name":"E","symbols":[%s]%s}`, symbols, more)
}

func fixed(name string, size int) string {
	return fmt.Sprintf(`{"type":"fixed","name":"%s","size":%d}`, name, size)
}

const (
	dflt     = `"default":0`
	nodeText = `{"type":"record","name":"R","fields":[{"name":"v","type":%s},{"name":"next","type":["null","R"]}]}`
)

// compatPairs have each difference once; ab is what keeps data of b from being
// read with a, ba the other way. Avro-Java 1.12.0 gives the same answers, but
// for the last two: it repeats itself on the first and throws on the second.
var compatPairs = []struct {
	name, a, b string
	ab, ba     []string
}{
	{"same", rec(fld("a", `"int"`)), rec(fld("a", `"int"`)), nil, nil},
	{"field with default", rec(fld("a", `"int"`), fld("b", `"int"`, dflt)), rec(fld("a", `"int"`)), nil, nil},
	{"field without default", rec(fld("a", `"int"`), fld("b", `"int"`)), rec(fld("a", `"int"`)),
		[]string{"READER_FIELD_MISSING_DEFAULT_VALUE /fields/1 b"}, nil},
	{"null as default", rec(fld("a", `"int"`), fld("b", `["null","int"]`, `"default":null`)), rec(fld("a", `"int"`)), nil, nil},
	{"several at once", rec(fld("a", `"string"`), fld("b", `"int"`), fld("c", `"int"`)), rec(fld("a", `"int"`)),
		[]string{"TYPE_MISMATCH /fields/0/type reader type: STRING not compatible with writer type: INT",
			"READER_FIELD_MISSING_DEFAULT_VALUE /fields/1 b", "READER_FIELD_MISSING_DEFAULT_VALUE /fields/2 c"},
		[]string{"TYPE_MISMATCH /fields/0/type reader type: INT not compatible with writer type: STRING"}},
	{"field by alias", rec(fld("b", `"int"`, `"aliases":["a"]`)), rec(fld("a", `"int"`)), nil,
		[]string{"READER_FIELD_MISSING_DEFAULT_VALUE /fields/0 a"}},
	{"name", fixed("F", 1), fixed("G", 1), []string{"NAME_MISMATCH /name expected: G"}, []string{"NAME_MISMATCH /name expected: F"}},
	{"namespace", fixed("a.F", 1), fixed("b.F", 1), nil, nil},
	{"name by alias", `{"type":"fixed","name":"F","size":1,"aliases":["G"]}`, fixed("G", 1), nil, []string{"NAME_MISMATCH /name expected: F"}},
	{"record name", `{"type":"record","name":"n.Q","fields":[]}`, rec(), []string{"NAME_MISMATCH /name expected: R"}, []string{"NAME_MISMATCH /name expected: n.Q"}},
	{"size", rec(fld("f", fixed("F", 1))), rec(fld("f", fixed("F", 2))),
		[]string{"FIXED_SIZE_MISMATCH /fields/0/type/size expected: 2, found: 1"}, []string{"FIXED_SIZE_MISMATCH /fields/0/type/size expected: 1, found: 2"}},
	{"symbols", enum(`"A"`, ""), enum(`"C","A","B"`, ""), []string{"MISSING_ENUM_SYMBOLS /symbols [B, C]"}, nil},
	{"symbols with default", enum(`"A"`, `,"default":"A"`), enum(`"A","B"`, ""), nil, nil},
	{"symbols reordered", enum(`"A","B"`, ""), enum(`"B","A"`, ""), nil, nil},
	{"enum field with the enum's default", rec(fld("e", enum(`"A"`, `,"default":"A"`))), rec(),
		[]string{"TYPE_MISMATCH /fields/0/type reader type: ENUM not compatible with writer type: RECORD"}, nil},
	{"int to long", `"long"`, `"int"`, nil, []string{"TYPE_MISMATCH / reader type: INT not compatible with writer type: LONG"}},
	{"int to float", `"float"`, `"int"`, nil, []string{"TYPE_MISMATCH / reader type: INT not compatible with writer type: FLOAT"}},
	{"int to double", `"double"`, `"int"`, nil, []string{"TYPE_MISMATCH / reader type: INT not compatible with writer type: DOUBLE"}},
	{"long to float", `"float"`, `"long"`, nil, []string{"TYPE_MISMATCH / reader type: LONG not compatible with writer type: FLOAT"}},
	{"long to double", `"double"`, `"long"`, nil, []string{"TYPE_MISMATCH / reader type: LONG not compatible with writer type: DOUBLE"}},
	{"float to double", `"double"`, `"float"`, nil, []string{"TYPE_MISMATCH / reader type: FLOAT not compatible with writer type: DOUBLE"}},
	{"string and bytes", `"string"`, `"bytes"`, nil, nil},
	{"boolean", `"boolean"`, `"int"`, []string{"TYPE_MISMATCH / reader type: BOOLEAN not compatible with writer type: INT"},
		[]string{"TYPE_MISMATCH / reader type: INT not compatible with writer type: BOOLEAN"}},
	{"logical types do not count", `{"type":"bytes","logicalType":"decimal","precision":4}`, `{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`, nil, nil},
	{"items", `{"type":"array","items":"int"}`, `{"type":"array","items":"string"}`,
		[]string{"TYPE_MISMATCH /items reader type: INT not compatible with writer type: STRING"}, []string{"TYPE_MISMATCH /items reader type: STRING not compatible with writer type: INT"}},
	{"values", `{"type":"map","values":"long"}`, `{"type":"map","values":"int"}`, nil, []string{"TYPE_MISMATCH /values reader type: INT not compatible with writer type: LONG"}},
	{"array and map", `{"type":"array","items":"int"}`, `{"type":"map","values":"int"}`,
		[]string{"TYPE_MISMATCH / reader type: ARRAY not compatible with writer type: MAP"}, []string{"TYPE_MISMATCH / reader type: MAP not compatible with writer type: ARRAY"}},
	{"type into union", `["null","int"]`, `"int"`, nil, []string{"TYPE_MISMATCH /0 reader type: INT not compatible with writer type: NULL"}},
	{"type into a union that widens", `["null","long"]`, `"int"`, nil,
		[]string{"TYPE_MISMATCH /0 reader type: INT not compatible with writer type: NULL", "TYPE_MISMATCH /1 reader type: INT not compatible with writer type: LONG"}},
	{"type not in union", rec(fld("u", `["null","int"]`)), rec(fld("u", `"string"`)),
		[]string{"MISSING_UNION_BRANCH /fields/0/type reader union lacking writer type: STRING"},
		[]string{"TYPE_MISMATCH /fields/0/type/0 reader type: STRING not compatible with writer type: NULL", "TYPE_MISMATCH /fields/0/type/1 reader type: STRING not compatible with writer type: INT"}},
	{"branch", rec(fld("u", `["null","int"]`)), rec(fld("u", `["null","int","boolean"]`)),
		[]string{"MISSING_UNION_BRANCH /fields/0/type/2 reader union lacking writer type: BOOLEAN"}, nil},
	{"branches reordered", `["null","int"]`, `["int","null"]`, nil, nil},
	{"record in union", `["null",` + rec(fld("a", `"int"`), fld("b", `"int"`)) + `]`, `["null",` + rec(fld("a", `"int"`)) + `]`,
		[]string{"MISSING_UNION_BRANCH /1 reader union lacking writer type: RECORD"}, nil},
	{"recursive", fmt.Sprintf(nodeText, `"long"`), fmt.Sprintf(nodeText, `"int"`), nil, []string{
		"TYPE_MISMATCH /fields/0/type reader type: INT not compatible with writer type: LONG"}},
	{"a type used twice", rec(fld("x", fixed("F", 1)), fld("y", `"F"`)), rec(fld("x", fixed("F", 2)), fld("y", `"F"`)),
		[]string{"FIXED_SIZE_MISMATCH /fields/0/type/size expected: 2, found: 1"}, []string{"FIXED_SIZE_MISMATCH /fields/0/type/size expected: 1, found: 2"}},
	{"two fields by alias", rec(fld("a", `"int"`, `"aliases":["b"]`)), rec(fld("a", `"int"`), fld("b", `"int"`)),
		[]string{"TYPE_MISMATCH /fields/0 a"}, []string{"READER_FIELD_MISSING_DEFAULT_VALUE /fields/1 b"}},
}

func short(list []schema.Incompatibility) []string {
	var out []string
	for _, i := range list {
		out = append(out, i.Type+" "+i.Path+" "+i.Info)
	}
	return out
}

func TestReads(t *testing.T) {
	for _, tt := range compatPairs {
		a, b := mustParse(t, tt.a), mustParse(t, tt.b)
		if got := short(a.Reads(b)); !slices.Equal(got, tt.ab) {
			t.Errorf("%s: a reads b:\ngot  %q\nwant %q", tt.name, got, tt.ab)
		}
		if got := short(b.Reads(a)); !slices.Equal(got, tt.ba) {
			t.Errorf("%s: b reads a:\ngot  %q\nwant %q", tt.name, got, tt.ba)
		}
	}
}

// TestReadsTexts has Confluent's sentences, as its registry's 409 has them.
func TestReadsTexts(t *testing.T) {
	a := rec(fld("a", `"int"`), fld("e", enum(`"A"`, "")), fld("f", fixed("F", 1)), fld("u", `["null","int"]`), fld("x", `"int"`))
	b := rec(fld("a", `"string"`), fld("e", enum(`"A","B"`, "")), fld("f", fixed("G", 2)), fld("u", `["null","int","string"]`))
	var got []string
	for _, i := range mustParse(t, a).Reads(mustParse(t, b)) {
		got = append(got, fmt.Sprintf("{errorType:'%s', description:'%s', additionalInfo:'%s'}", i.Type, i.Describe("new", "old"), i.Info))
	}
	want := []string{
		"{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: INT not compatible with writer type: STRING'}",
		"{errorType:'MISSING_ENUM_SYMBOLS', description:'The new schema is missing enum symbols '[B]' at path '/fields/1/type/symbols' in the old schema', additionalInfo:'[B]'}",
		"{errorType:'NAME_MISMATCH', description:'The name of the schema has changed (path '/fields/2/type/name')', additionalInfo:'expected: G'}",
		"{errorType:'FIXED_SIZE_MISMATCH', description:'The size of FIXED type field at path '/fields/2/type/size' in the new schema does not match with the old schema', additionalInfo:'expected: 2, found: 1'}",
		"{errorType:'MISSING_UNION_BRANCH', description:'The new schema is missing a type inside a union field at path '/fields/3/type/2' in the old schema', additionalInfo:'reader union lacking writer type: STRING'}",
		"{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'x' at path '/fields/4' in the new schema has no default value and is missing in the old schema', additionalInfo:'x'}",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestReadsIsBounded(t *testing.T) {
	many := func(typ string) string {
		fields := make([]string, 3000)
		for i := range fields {
			fields[i] = fld(fmt.Sprintf("f%d", i), typ)
		}
		return rec(fields...)
	}
	if n := len(mustParse(t, many(`"int"`)).Reads(mustParse(t, many(`"string"`)))); n != maxDifferences {
		t.Errorf("%d differences, want %d", n, maxDifferences)
	}
}

// TestReadsAgainstHamba compares verdicts on random schemas and changes of them.
// That library stops at the first difference, but its verdict is Avro-Java's.
func TestReadsAgainstHamba(t *testing.T) {
	compatible, not := 0, 0
	for seed := range uint64(300) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 2))}
		a := g.record(0)
		changes := strings.NewReplacer(
			`"int"}`, `"long"}`, `"string"`, g.pick(`"string"`, `"bytes"`, `"int"`), `["A","B","C"]`, `["A","B","C","D"]`,
			`"name":"f4"`, g.pick(`"name":"f4"`, `"name":"g4"`), `"float"`, g.pick(`"float"`, `"double"`))
		b := changes.Replace(a)
		ha, hb := hambaParse(t, a), hambaParse(t, b)
		oa, ob := mustParse(t, a), mustParse(t, b)
		for _, pair := range []struct {
			r, w   *Schema
			hr, hw hamba.Schema
		}{{oa, ob, ha, hb}, {ob, oa, hb, ha}} {
			got := pair.r.Reads(pair.w)
			err := hamba.NewSchemaCompatibility().Compatible(pair.hr, pair.hw)
			if (len(got) == 0) != (err == nil) {
				t.Errorf("seed %d: %s\nreads %s\nwe say %v, they %v", seed, pair.r.Canonical(), pair.w.Canonical(), got, err)
			}
			if err == nil {
				compatible++
			} else {
				not++
			}
		}
	}
	if compatible < 100 || not < 100 {
		t.Errorf("%d compatible and %d not: too few to mean much", compatible, not)
	}
}

func hambaParse(t *testing.T, text string) hamba.Schema {
	t.Helper()
	s, err := hamba.ParseWithCache(text, "", &hamba.SchemaCache{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// TestChangeList: what Avro-Java says nothing of, beside what it says.
func TestChangeList(t *testing.T) {
	old := rec(fld("a", `"int"`, `"default":1`), fld("b", `["null","int"]`), fld("e", enum(`"A"`, "")), fld("gone", `"string"`),
		fld("n", `["null",{"type":"record","name":"N","fields":[`+fld("x", `"int"`)+`]}]`), fld("l", `{"type":"array","items":"N"}`), fld("d", `"int"`))
	new := rec(fld("a", `"long"`, `"default":2`), fld("b", `["null","int","string"]`), fld("e", enum(`"A","B"`, "")), fld("c", `"string"`, `"default":"x"`),
		fld("n", `["null",{"type":"record","name":"N","fields":[`+fld("y", `"int"`, `"aliases":["x"]`)+`]}]`), fld("l", `{"type":"array","items":"N"}`),
		fld("d", `{"type":"int","logicalType":"date"}`), fld("must", `"int"`))
	var got []string
	for _, c := range schema.Changes(mustParse(t, new), mustParse(t, old)) {
		mark := ""
		if c.Breaks {
			mark = "!"
		}
		got = append(got, mark+c.Type+" "+c.Field+": "+c.Info)
	}
	want := []string{
		"!READER_FIELD_MISSING_DEFAULT_VALUE must: must", "TYPE_CHANGED a: long, was int", "DEFAULT_CHANGED a: default 2, was default 1",
		"UNION_BRANCH_ADDED b: string", "ENUM_SYMBOLS_CHANGED e: [A, B], was [A]", `FIELD_ADDED c: string with default "x"`,
		"FIELD_RENAMED n.y: was x", "LOGICAL_TYPE_CHANGED d: date, was none", "FIELD_ADDED must: int", "FIELD_REMOVED gone: string",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}
