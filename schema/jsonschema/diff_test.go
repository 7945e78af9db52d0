package jsonschema

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/schema"
)

// changes is pairs of schemas and all their differences; kinds after ! do not let
// old data be read. One pair at least for each kind.
var changes = []struct{ old, new, want string }{
	// general
	{`{"$id":"a","title":"a","description":"a","default":1,"type":"string"}`, `{"$id":"b","title":"b","description":"b","default":2,"type":"string"}`, `ID_CHANGED / TITLE_CHANGED / DESCRIPTION_CHANGED / DEFAULT_CHANGED /`},
	{`{"type":"array","items":{"type":"string"}}`, `{"type":"array"}`, `SCHEMA_REMOVED /items`},
	{`{"type":"array"}`, `{"type":"array","items":{"type":"string"}}`, `!SCHEMA_ADDED /items`},
	{`{"type":"integer"}`, `{"type":"number"}`, `TYPE_EXTENDED /`},
	{`{"type":"number"}`, `{"type":"integer"}`, `!TYPE_NARROWED /`},
	{`{"type":"number"}`, `{"type":"string"}`, `!TYPE_CHANGED /`},
	{`{"type":"number"}`, `{}`, ``},
	{`{"type":"number"}`, `true`, ``},
	{`false`, `{"type":"number"}`, ``},
	{`{}`, `{"type":"number"}`, `!TYPE_CHANGED /`},
	{`{"type":"string","connect.type":"bytes"}`, `{"type":"number","connect.type":"bytes"}`, ``},
	// strings
	{`{"type":"string","maxLength":3}`, `{"type":"string","maxLength":4}`, `MAX_LENGTH_INCREASED /maxLength`},
	{`{"type":"string","maxLength":3}`, `{"type":"string"}`, `MAX_LENGTH_REMOVED /maxLength`},
	{`{"type":"string"}`, `{"type":"string","maxLength":3}`, `!MAX_LENGTH_ADDED /maxLength`},
	{`{"type":"string","maxLength":4}`, `{"type":"string","maxLength":3}`, `!MAX_LENGTH_DECREASED /maxLength`},
	{`{"minLength":4}`, `{"minLength":3}`, `MIN_LENGTH_DECREASED /minLength`},
	{`{"minLength":4}`, `{"minLength":5}`, `!MIN_LENGTH_INCREASED /minLength`},
	{`{"type":"string","minLength":4}`, `{"type":"string","pattern":"a"}`, `MIN_LENGTH_REMOVED /minLength !PATTERN_ADDED /pattern`},
	{`{"type":"string","pattern":"b"}`, `{"type":"string","minLength":4}`, `PATTERN_REMOVED /pattern !MIN_LENGTH_ADDED /minLength`},
	{`{"type":"string","pattern":"b"}`, `{"type":"string","pattern":"c"}`, `!PATTERN_CHANGED /pattern`},
	// numbers
	{`{"type":"number","maximum":1,"minimum":1,"exclusiveMaximum":9,"exclusiveMinimum":0}`, `{"type":"number","maximum":1.5,"minimum":0.5,"exclusiveMaximum":10,"exclusiveMinimum":-1}`,
		`MAXIMUM_INCREASED /maximum MINIMUM_DECREASED /minimum EXCLUSIVE_MAXIMUM_INCREASED /exclusiveMaximum EXCLUSIVE_MINIMUM_DECREASED /exclusiveMinimum`},
	{`{"type":"number","maximum":1.5,"minimum":0.5,"exclusiveMaximum":10,"exclusiveMinimum":-1}`, `{"type":"number","maximum":1,"minimum":1,"exclusiveMaximum":9,"exclusiveMinimum":0}`,
		`!MAXIMUM_DECREASED /maximum !MINIMUM_INCREASED /minimum !EXCLUSIVE_MAXIMUM_DECREASED /exclusiveMaximum !EXCLUSIVE_MINIMUM_INCREASED /exclusiveMinimum`},
	{`{"type":"number","maximum":1,"minimum":1,"exclusiveMaximum":9,"exclusiveMinimum":0,"multipleOf":2}`, `{"type":"number"}`,
		`MAXIMUM_REMOVED /maximum MINIMUM_REMOVED /minimum EXCLUSIVE_MAXIMUM_REMOVED /exclusiveMaximum EXCLUSIVE_MINIMUM_REMOVED /exclusiveMinimum MULTIPLE_OF_REMOVED /multipleOf`},
	{`{"type":"number"}`, `{"type":"number","maximum":1,"minimum":1,"exclusiveMaximum":9,"exclusiveMinimum":0,"multipleOf":2}`,
		`!MAXIMUM_ADDED /maximum !MINIMUM_ADDED /minimum !EXCLUSIVE_MAXIMUM_ADDED /exclusiveMaximum !EXCLUSIVE_MINIMUM_ADDED /exclusiveMinimum !MULTIPLE_OF_ADDED /multipleOf`},
	{`{"multipleOf":1}`, `{"multipleOf":0.5}`, `MULTIPLE_OF_REDUCED /multipleOf`},
	{`{"multipleOf":0.5}`, `{"multipleOf":1}`, `!MULTIPLE_OF_EXPANDED /multipleOf`},
	{`{"multipleOf":2}`, `{"multipleOf":3}`, `!MULTIPLE_OF_CHANGED /multipleOf`},
	{`{"multipleOf":0.5,"maximum":1}`, `{"multipleOf":0.50,"maximum":1.0}`, ``},
	// object limits
	{`{"type":"object","properties":{"a":{"type":"string"}}}`, `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, `!REQUIRED_ATTRIBUTE_ADDED /required/a`},
	{`{"type":"object","properties":{"a":{"type":"string","default":"x"}}}`, `{"type":"object","properties":{"a":{"type":"string","default":"x"}},"required":["a"]}`, `REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED /required/a`},
	{`{"type":"object","properties":{"a":{"type":"string"}},"required":["a","b"]}`, `{"type":"object","properties":{"a":{"type":"string"}}}`, `REQUIRED_ATTRIBUTE_REMOVED /required/a`},
	{`{"type":"object","maxProperties":2,"minProperties":1}`, `{"type":"object","maxProperties":3,"minProperties":0}`, `MAX_PROPERTIES_INCREASED /maxProperties MIN_PROPERTIES_DECREASED /minProperties`},
	{`{"type":"object","maxProperties":3,"minProperties":0}`, `{"type":"object","maxProperties":2,"minProperties":1}`, `!MAX_PROPERTIES_DECREASED /maxProperties !MIN_PROPERTIES_INCREASED /minProperties`},
	{`{"type":"object","maxProperties":3,"minProperties":0}`, `{"type":"object"}`, `MAX_PROPERTIES_REMOVED /maxProperties MIN_PROPERTIES_REMOVED /minProperties`},
	{`{"type":"object"}`, `{"type":"object","maxProperties":3,"minProperties":0}`, `!MAX_PROPERTIES_ADDED /maxProperties !MIN_PROPERTIES_ADDED /minProperties`},
	{`{"type":"object","dependencies":{"a":["b"],"c":["d","e"],"f":["g"],"h":["i"]}}`, `{"type":"object","dependencies":{"a":["b","c"],"c":["d"],"h":["j"],"k":["l"]}}`,
		`!DEPENDENCY_ARRAY_EXTENDED /dependencies/a DEPENDENCY_ARRAY_NARROWED /dependencies/c DEPENDENCY_ARRAY_REMOVED /dependencies/f !DEPENDENCY_ARRAY_CHANGED /dependencies/h !DEPENDENCY_ARRAY_ADDED /dependencies/k`},
	{`{"type":"object","dependencies":{"a":{"type":"object"},"b":{"maxProperties":2}}}`, `{"type":"object","dependencies":{"b":{"maxProperties":1},"c":{}}}`,
		`DEPENDENCY_SCHEMA_REMOVED /dependencies/a !MAX_PROPERTIES_DECREASED /dependencies/b/maxProperties !DEPENDENCY_SCHEMA_ADDED /dependencies/c`},
	{d19(`"type":"object","dependentRequired":{"a":["b"]}`), d19(`"type":"object"`), `DEPENDENCY_ARRAY_REMOVED /dependencies/a`},
	// content model
	{`{"type":"object","additionalProperties":false}`, `{"type":"object"}`, `ADDITIONAL_PROPERTIES_ADDED /additionalProperties`},
	{`{"type":"object"}`, `{"type":"object","additionalProperties":false}`, `?ADDITIONAL_PROPERTIES_REMOVED /additionalProperties`},
	{`{"type":"object","additionalProperties":{"type":"string"}}`, `{"type":"object"}`, `ADDITIONAL_PROPERTIES_EXTENDED /additionalProperties`},
	{`{"type":"object"}`, `{"type":"object","additionalProperties":{"type":"string"}}`, `?ADDITIONAL_PROPERTIES_NARROWED /additionalProperties`},
	{`{"type":"object","additionalProperties":{"type":"number"}}`, `{"type":"object","additionalProperties":{"type":"integer"}}`, `!TYPE_NARROWED /additionalProperties`},
	{d20(`"type":"object","unevaluatedProperties":false`), d20(`"type":"object"`), `UNEVALUATED_PROPERTIES_ADDED /unevaluatedProperties`},
	{d20(`"type":"object"`), d20(`"type":"object","unevaluatedProperties":false`), `?UNEVALUATED_PROPERTIES_REMOVED /unevaluatedProperties`},
	{d20(`"type":"object","unevaluatedProperties":{"type":"string"}`), d20(`"type":"object"`), `UNEVALUATED_PROPERTIES_EXTENDED /unevaluatedProperties`},
	{d20(`"type":"object","unevaluatedProperties":true`), d20(`"type":"object","unevaluatedProperties":{"type":"string"}`), `?UNEVALUATED_PROPERTIES_NARROWED /unevaluatedProperties`},
	// properties added
	{`{"type":"object"}`, `{"type":"object","properties":{"a":{}}}`, `PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object"}`, `{"type":"object","properties":{"a":{"type":"string"}}}`, `?OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object"}`, `{"type":"object","properties":{"a":{"type":"string","default":""}},"required":["a"]}`, `?REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object"}`, `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, `!REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object","additionalProperties":false}`, `{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"}}}`, `OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object","additionalProperties":false}`, `{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string","default":""}},"required":["a"]}`, `REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object","additionalProperties":false}`, `{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"}},"required":["a"]}`, `!REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object","additionalProperties":{"type":"integer"}}`, `{"type":"object","additionalProperties":{"type":"integer"},"properties":{"a":{"type":"number"}}}`,
		`TYPE_EXTENDED /properties/a PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL /properties/a OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object","patternProperties":{"^a":{"type":"string"}},"additionalProperties":false}`, `{"type":"object","patternProperties":{"^a":{"type":"string"}},"additionalProperties":false,"properties":{"ab":{"type":"number"}}}`,
		`!TYPE_CHANGED /properties/ab ?PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL /properties/ab OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL /properties/ab`},
	// properties removed
	{`{"type":"object","properties":{"a":{"type":"string"}}}`, `{"type":"object"}`, `PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object","additionalProperties":false,"properties":{"a":false}}`, `{"type":"object","additionalProperties":false}`, `PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL /properties/a`},
	{`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"}}}`, `{"type":"object","additionalProperties":false}`, `?PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL /properties/a`},
	{d20(`"type":"object","unevaluatedProperties":{"type":"string"},"properties":{"a":{"type":"string"}}`), d20(`"type":"object","unevaluatedProperties":{"type":"string"}`), `PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL /properties/a`},
	{`{"type":"object","additionalProperties":{"type":"string"},"properties":{"a":{"type":"integer"}}}`, `{"type":"object","additionalProperties":{"type":"string"}}`,
		`!TYPE_CHANGED /properties/a ?PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL /properties/a`},
	// arrays
	{`{"type":"array","maxItems":1,"minItems":1}`, `{"type":"array","maxItems":2,"minItems":0}`, `MAX_ITEMS_INCREASED /maxItems MIN_ITEMS_DECREASED /minItems`},
	{`{"type":"array","maxItems":2,"minItems":0}`, `{"type":"array","maxItems":1,"minItems":1}`, `!MAX_ITEMS_DECREASED /maxItems !MIN_ITEMS_INCREASED /minItems`},
	{`{"type":"array","maxItems":2,"minItems":0,"uniqueItems":true}`, `{"type":"array"}`, `MAX_ITEMS_REMOVED /maxItems MIN_ITEMS_REMOVED /minItems UNIQUE_ITEMS_REMOVED /uniqueItems`},
	{`{"type":"array"}`, `{"type":"array","maxItems":2,"minItems":0,"uniqueItems":true}`, `!MAX_ITEMS_ADDED /maxItems !MIN_ITEMS_ADDED /minItems !UNIQUE_ITEMS_ADDED /uniqueItems`},
	{d20(`"contains":{},"minContains":2,"maxContains":4`), d20(`"contains":{},"minContains":1,"maxContains":5`), `MAX_CONTAINS_INCREASED /maxContains MIN_CONTAINS_DECREASED /minContains`},
	{d20(`"contains":{},"minContains":1,"maxContains":5`), d20(`"contains":{},"minContains":2,"maxContains":4`), `!MAX_CONTAINS_DECREASED /maxContains !MIN_CONTAINS_INCREASED /minContains`},
	{d20(`"type":"array","contains":{},"maxContains":5`), d20(`"type":"array"`), `MAX_CONTAINS_REMOVED /maxContains MIN_CONTAINS_REMOVED /minContains`},
	{d20(`"type":"array"`), d20(`"type":"array","contains":{},"maxContains":5`), `!MAX_CONTAINS_ADDED /maxContains !MIN_CONTAINS_ADDED /minContains`},
	{`{"items":[{}],"additionalItems":false}`, `{"items":[{}]}`, `ADDITIONAL_ITEMS_ADDED /additionalItems`},
	{`{"items":[{}]}`, `{"items":[{}],"additionalItems":false}`, `!ADDITIONAL_ITEMS_REMOVED /additionalItems`},
	{`{"items":[{}],"additionalItems":{"type":"string"}}`, `{"items":[{}]}`, `ADDITIONAL_ITEMS_EXTENDED /additionalItems`},
	{d20(`"prefixItems":[{}]`), d20(`"prefixItems":[{}],"items":{"type":"string"}`), `!ADDITIONAL_ITEMS_NARROWED /additionalItems`},
	{d20(`"type":"array","unevaluatedItems":false`), d20(`"type":"array"`), `UNEVALUATED_ITEMS_ADDED /unevaluatedItems`},
	{d20(`"type":"array"`), d20(`"type":"array","unevaluatedItems":false`), `!UNEVALUATED_ITEMS_REMOVED /unevaluatedItems`},
	{d20(`"type":"array","unevaluatedItems":{"type":"string"}`), d20(`"type":"array","unevaluatedItems":true`), `UNEVALUATED_ITEMS_EXTENDED /unevaluatedItems`},
	{d20(`"type":"array"`), d20(`"type":"array","unevaluatedItems":{"type":"string"}`), `!UNEVALUATED_ITEMS_NARROWED /unevaluatedItems`},
	// tuples
	{`{"items":[{"type":"string"}]}`, `{"items":[{"type":"string"},{}]}`, `ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL /items/1`},
	{`{"items":[{"type":"string"}]}`, `{"items":[{"type":"string"},{"type":"integer"}]}`, `!ITEM_ADDED_TO_OPEN_CONTENT_MODEL /items/1`},
	{`{"items":[{}],"additionalItems":false}`, `{"items":[{},{"type":"integer"}],"additionalItems":false}`, `ITEM_ADDED_TO_CLOSED_CONTENT_MODEL /items/1`},
	{`{"items":[{},{"type":"integer"}]}`, `{"items":[{}]}`, `ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL /items/1`},
	{`{"items":[{},false],"additionalItems":false}`, `{"items":[{}],"additionalItems":false}`, `ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL /items/1`},
	{`{"items":[{},{}],"additionalItems":false}`, `{"items":[{}],"additionalItems":false}`, `!ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL /items/1`},
	{`{"items":[{}],"additionalItems":{"type":"integer"}}`, `{"items":[{},{"type":"number"}],"additionalItems":{"type":"integer"}}`, `TYPE_EXTENDED /items/1 ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL /items/1`},
	{`{"items":[{}],"additionalItems":{"type":"integer"}}`, `{"items":[{},{"type":"string"}],"additionalItems":{"type":"integer"}}`, `!TYPE_CHANGED /items/1 !ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL /items/1`},
	{`{"items":[{},{"type":"integer"}],"additionalItems":{"type":"integer"}}`, `{"items":[{}],"additionalItems":{"type":"integer"}}`, `ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL /items/1`},
	{d20(`"prefixItems":[{},{"type":"string"}],"unevaluatedItems":{"type":"integer"}`), d20(`"prefixItems":[{}],"unevaluatedItems":{"type":"integer"}`), `!TYPE_CHANGED /items/1 !ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL /items/1`},
	// enum, const
	{`{"enum":["a","b"]}`, `{"enum":["b","a","c"]}`, `ENUM_ARRAY_EXTENDED /enum`},
	{`{"enum":["a","b"]}`, `{"enum":["a"]}`, `!ENUM_ARRAY_NARROWED /enum`},
	{`{"enum":["a","b"]}`, `{"enum":["a","c"]}`, `!ENUM_ARRAY_CHANGED /enum`},
	{`{"const":{"b":1,"a":2}}`, `{"const":{"a":2,"b":1}}`, ``},
	{`{"const":1}`, `{"const":2}`, `!ENUM_ARRAY_CHANGED /const`},
	// combined
	{`{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `{"anyOf":[{"type":"string"},{"type":"integer"}]}`, `COMBINED_TYPE_EXTENDED /`},
	{`{"allOf":[{"type":"string"}]}`, `{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `COMBINED_TYPE_EXTENDED / SUM_TYPE_EXTENDED /`},
	{`{"anyOf":[{"type":"string"},{"type":"integer"}]}`, `{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `!COMBINED_TYPE_CHANGED /`},
	{`{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `{"oneOf":[{"type":"integer"}]}`, `!SUM_TYPE_NARROWED /`},
	{`{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `{"oneOf":[{"type":"integer"},{"type":"boolean"}]}`, `!COMBINED_TYPE_SUBSCHEMAS_CHANGED /`},
	{`{"oneOf":[{"type":"integer"},{"type":"integer","maximum":5}]}`, `{"oneOf":[{"type":"integer","maximum":5},{"type":"number"}]}`, `TYPE_EXTENDED /oneOf/0`},
	{`{"allOf":[{"maxLength":3},{"minLength":1}]}`, `{"allOf":[{"minLength":1}]}`, `PRODUCT_TYPE_NARROWED /`},
	{`{"allOf":[{"minLength":1}]}`, `{"allOf":[{"minLength":1},{"maxLength":3}]}`, `!PRODUCT_TYPE_EXTENDED /`},
	{`{"type":"string"}`, `{"oneOf":[{"type":"null"},{"type":"string"}]}`, `SUM_TYPE_EXTENDED /`},
	{`{"type":"string"}`, `{"type":["null","string"]}`, `SUM_TYPE_EXTENDED /`},
	{`{"type":["null","string"]}`, `{"type":"string"}`, `!TYPE_CHANGED /`},
	{`{"type":"string"}`, `{"anyOf":[{"type":"string"}]}`, ``},
	{`{"allOf":[{"type":"string"},{"maxLength":2}]}`, `{"type":"string"}`, `PRODUCT_TYPE_NARROWED /`},
	{`{"not":{"maxLength":2}}`, `{"not":{"maxLength":1}}`, `NOT_TYPE_NARROWED /not`},
	{`{"not":{"maxLength":1}}`, `{"not":{"maxLength":2}}`, `!NOT_TYPE_EXTENDED /not`},
	// references
	{`{"properties":{"a":{"$ref":"#/definitions/x"}},"definitions":{"x":{"type":"number"}}}`, `{"properties":{"a":{"type":"integer"}}}`, `!TYPE_NARROWED /properties/a`},
	{`{"type":"object","properties":{"n":{"$ref":"#"},"v":{"type":"number"}}}`, `{"type":"object","properties":{"n":{"$ref":"#"},"v":{"type":"integer"}}}`, `!TYPE_NARROWED /properties/v !TYPE_NARROWED /properties/n/properties/v`},
}

func d19(body string) string {
	return `{"$schema":"https://json-schema.org/draft/2019-09/schema",` + body + `}`
}

func d20(body string) string {
	return `{"$schema":"https://json-schema.org/draft/2020-12/schema",` + body + `}`
}

// kindsNotHere exist in Confluent's list but come from elsewhere: reserved
// properties from metadata, the last from nowhere (deprecated).
var kindsNotHere = []string{"RESERVED_PROPERTY_REMOVED", "RESERVED_PROPERTY_CONFLICTS_WITH_PROPERTY", "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"}

func TestChanges(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range changes {
		old, new := mustParse(t, c.old), mustParse(t, c.new)
		got, harmful := allDifferences(t, old, new, seen)
		want := strings.Split(c.want, " ")
		for i := 0; i+1 < len(want); i++ {
			want[i] += " " + want[i+1]
			want = slices.Delete(want, i+1, i+2)
		}
		if c.want == "" {
			want = nil
		}
		if slices.Sort(got); !slices.Equal(got, sorted(want)) {
			t.Errorf("%s to\n%s\n got %v\nwant %v", c.old, c.new, got, want)
		}
		var reads []string
		for _, x := range new.Reads(old) {
			reads = append(reads, x.Type+" "+x.Path)
			text := x.Describe("NEW", "OLD")
			if strings.Contains(text, "%s") || !strings.Contains(text, "'"+x.Path+"'") || !strings.Contains(text, "NEW schema") || !strings.Contains(text, "OLD schema") || strings.Contains(text, "\n") {
				t.Errorf("%s: description %q", x.Type, text)
			}
		}
		if !slices.Equal(reads, harmful) {
			t.Errorf("%s to\n%s\nReads: got %v, want %v", c.old, c.new, reads, harmful)
		}
		if diff := new.Reads(new); len(diff) > 0 {
			t.Errorf("%s does not read itself: %v", c.new, diff)
		}
		again := mustParse(t, " "+c.new)
		again.canonical = "" // so that the texts are not taken for equal at once
		if diff := again.Reads(new); len(diff) > 0 {
			t.Errorf("%s does not read its like: %v", c.new, diff)
		}
	}
	for _, kind := range kindsNotHere {
		seen[kind] = true
	}
	if len(seen) != 132 {
		t.Errorf("the pairs show %d kinds of differences, want all 132", len(seen))
	}
	checkTypes(t, seen)
}

// allDifferences compares two schemas in full: all differences with their marks, and
// those that the policy STRICT refuses, in order.
func allDifferences(t *testing.T, old, new *Schema, seen map[string]bool) (all, harmful []string) {
	t.Helper()
	c := newComparison(false)
	for _, x := range c.list(c.form(old.docs, old.compiled), c.form(new.docs, new.compiled), true) {
		mark := "!"
		switch {
		case !c.types[x.kind].harms(false):
			mark = ""
		case !c.types[x.kind].harms(true):
			mark = "?"
		}
		seen[x.kind] = true
		all = append(all, mark+x.kind+" "+x.path)
		if mark != "" {
			harmful = append(harmful, x.kind+" #"+x.path)
		}
	}
	if c.spent {
		t.Fatal("given up")
	}
	return all, harmful
}

// checkTypes holds the table of types against those that were seen.
func checkTypes(t *testing.T, seen map[string]bool) {
	t.Helper()
	for _, k := range differenceTypes {
		if !seen[k.name] && k.name != tooLarge {
			t.Errorf("no pair shows %s", k.name)
		}
		if (k.verdict == passes) != (k.text == "") || k.text != "" && strings.Count(k.text, "the %s schema") != 2 {
			t.Errorf("%s: text %q", k.name, k.text)
		}
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// TestDescriptions: the sides, the place, and the values where there are some; what
// a schema holds may look like anything.
func TestDescriptions(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`{"type":"number"}`, `{"type":"string"}`, `the R schema expects something else than the W schema, at '#/': string against number`},
		{`{"type":"string"}`, `{"type":"string","maxLength":1}`, `the R schema limits the length of a text, the W schema does not, at '#/maxLength': 1`},
		{`{"type":"string","maxLength":2}`, `{"type":"string","maxLength":1}`, `the R schema takes only shorter texts than the W schema, at '#/maxLength': 1 against 2`},
		{`{"minimum":1.50}`, `{"minimum":1e3}`, `the R schema begins at a greater number than the W schema, at '#/minimum': 1000 against 1.5`},
		{`{"pattern":"^%s"}`, `{"pattern":"%s$"}`, `the R schema has another pattern than the W schema, at '#/pattern': '%s$' against '^%s'`},
		{`{"enum":["a","b",{"d":1,"c":2}]}`, `{"enum":["a"]}`, `the R schema lists fewer values than the W schema, at '#/enum': without "b", {"c":2,"d":1}`},
		{`{"const":1}`, `{"const":"1"}`, `the R schema lists other values than the W schema, at '#/const': "1" against 1`},
		{`{"type":"object","dependencies":{"a":["b"]}}`, `{"type":"object","dependencies":{"a":["b","c"]}}`, `the R schema makes a property demand more than the W schema, at '#/dependencies/a': c`},
		{`{"anyOf":[{"type":"null"},{"type":"string"}]}`, `{"anyOf":[{"type":"null"}]}`, `the R schema leaves fewer members to choose from than the W schema, at '#/': 1 against 2 members`},
		{`{"type":"object"}`, `{"type":"object","properties":{"100%s":{"type":"string"}}}`, `the R schema names a property that could hold anything in the W schema, at '#/properties/100%s'`},
		{`{"properties":{"a/b~":{"type":"number"}}}`, `{"properties":{"a/b~":{"type":"integer"}}}`, `the R schema takes only integers where the W schema takes any number, at '#/properties/a~1b~0'`},
	} {
		list := mustParse(t, c.new).Reads(mustParse(t, c.old))
		if len(list) != 1 {
			t.Fatalf("got %v", list)
		}
		if got := list[0].Describe("R", "W"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestHiddenBehindRecursion is a change that one pass over recursive members of
// oneOf takes for compatible.
func TestHiddenBehindRecursion(t *testing.T) {
	text := func(a, b string) string {
		node := func(typ, to string) string {
			return fmt.Sprintf(`{"type":"object","additionalProperties":true,"properties":{"id":{"type":%q},"ref":{"oneOf":[{"$ref":"#/definitions/%s"}]}}}`, typ, to)
		}
		return fmt.Sprintf(`{"type":"object","properties":{"root":{"oneOf":[{"$ref":"#/definitions/A"},{"$ref":"#/definitions/B"}]}},"definitions":{"A":%s,"B":%s,"C":%s}}`,
			node(a, "C"), node(b, "C"), node("integer", "A"))
	}
	if list := mustParse(t, text("boolean", "number")).Reads(mustParse(t, text("integer", "boolean"))); len(list) == 0 {
		t.Error("the change is not seen")
	}
	if list := mustParse(t, text("boolean", "number")+" ").Reads(mustParse(t, text("boolean", "number"))); len(list) != 0 {
		t.Errorf("got %v", list)
	}
}

// TestTrustedTooSoon has a pair (of C) that is fine as long as the pair it is in
// (of A) is. That turns out not to be, which does no harm where it is (u has another
// member), but the verdict on C, asked for again under v, must not stand.
func TestTrustedTooSoon(t *testing.T) {
	text := func(z, more string) string {
		return fmt.Sprintf(`{"type":"object","properties":{"u":{"oneOf":[{"$ref":"#/definitions/A"}%s]},"v":{"$ref":"#/definitions/C"}},"definitions":{
			"A":{"type":"object","properties":{"n":{"$ref":"#/definitions/C"},"z":{"type":%q}}},
			"C":{"type":"object","properties":{"back":{"$ref":"#/definitions/A"}}}}}`, more, z)
	}
	old := mustParse(t, text("string", ""))
	list := mustParse(t, text("integer", `,{}`)).Reads(old)
	if !slices.ContainsFunc(list, func(x schema.Incompatibility) bool { return x.Path == "#/properties/v/properties/back/properties/z" }) {
		t.Errorf("got %v", list)
	}
	if list := mustParse(t, text("string", `,{}`)).Reads(old); len(list) != 0 {
		t.Errorf("got %v", list)
	}
}

// TestLargeComparison gives schemas of many members, all of which refer to all,
// and a change in each: the answer comes in bounded time, and errs to no.
func TestLargeComparison(t *testing.T) {
	text := func(n int, typ string) string {
		var refs, defs []string
		for i := range n {
			refs = append(refs, fmt.Sprintf(`{"$ref":"#/definitions/d%d"}`, i))
		}
		union := `{"oneOf":[` + strings.Join(refs, ",") + `]}`
		for i := range n {
			defs = append(defs, fmt.Sprintf(`"d%d":{"type":"object","properties":{"id":{"type":%q},"a":%s,"b":{"not":%s}}}`, i, typ, union, union))
		}
		return `{"definitions":{` + strings.Join(defs, ",") + `},"type":"object","properties":{"p":` + union + `}}`
	}
	for _, n := range []int{12, 50} {
		start := time.Now()
		old, new := mustParse(t, text(n, "string")), mustParse(t, text(n, "integer"))
		if list := new.Reads(old); len(list) == 0 || len(list) > maxDifferences {
			t.Errorf("%d members: got %d differences", n, len(list))
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%d members: took %s", n, took)
		}
	}
	small := mustParse(t, text(12, "string"))
	same := mustParse(t, text(12, "string"))
	same.canonical = ""
	if list := same.Reads(small); len(list) != 0 {
		t.Errorf("a schema of 12 members does not read itself: %v", list)
	}
}

type otherSchema struct{ schema.Schema }

func TestOtherLanguage(t *testing.T) {
	list := mustParse(t, `{}`).Reads(otherSchema{})
	if len(list) != 1 || list[0].Description != "Incompatible because of different schema type" {
		t.Errorf("got %v", list)
	}
}
