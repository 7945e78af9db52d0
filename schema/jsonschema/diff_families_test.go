package jsonschema

import (
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

// families has pairs of schemas that differ in one thing, with what each turn of
// it gives: "! TYPE" keeps data from being read, "? TYPE" does under STRICT only,
// "TYPE" never does. By the families of Confluent's types.
var families = []struct {
	family, loose, tight string
	tightened, loosened  string
}{
	{"general", `{"type":"array"}`, `{"type":"array","items":{"type":"string"}}`, "! SCHEMA_ADDED", "SCHEMA_REMOVED"},
	{"general", `{"type":"number"}`, `{"type":"integer"}`, "! TYPE_NARROWED", "TYPE_EXTENDED"},
	{"general", `{"type":"number"}`, `{"type":"boolean"}`, "! TYPE_CHANGED", "! TYPE_CHANGED"},
	{"general", `{}`, `{"type":"boolean"}`, "! TYPE_CHANGED", ""},
	{"general", `{"type":"string"}`, `{"type":"string","title":"a"}`, "TITLE_CHANGED", "TITLE_CHANGED"},

	{"string", `{"type":"string"}`, `{"type":"string","maxLength":3}`, "! MAX_LENGTH_ADDED", "MAX_LENGTH_REMOVED"},
	{"string", `{"type":"string","maxLength":4}`, `{"type":"string","maxLength":3}`, "! MAX_LENGTH_DECREASED", "MAX_LENGTH_INCREASED"},
	{"string", `{"type":"string"}`, `{"type":"string","minLength":3}`, "! MIN_LENGTH_ADDED", "MIN_LENGTH_REMOVED"},
	{"string", `{"type":"string","minLength":2}`, `{"type":"string","minLength":3}`, "! MIN_LENGTH_INCREASED", "MIN_LENGTH_DECREASED"},
	{"string", `{"type":"string"}`, `{"type":"string","pattern":"a"}`, "! PATTERN_ADDED", "PATTERN_REMOVED"},
	{"string", `{"type":"string","pattern":"b"}`, `{"type":"string","pattern":"a"}`, "! PATTERN_CHANGED", "! PATTERN_CHANGED"},

	{"number", `{"type":"number"}`, `{"type":"number","maximum":3}`, "! MAXIMUM_ADDED", "MAXIMUM_REMOVED"},
	{"number", `{"type":"number","maximum":3.5}`, `{"type":"number","maximum":3}`, "! MAXIMUM_DECREASED", "MAXIMUM_INCREASED"},
	{"number", `{"type":"number"}`, `{"type":"number","minimum":3}`, "! MINIMUM_ADDED", "MINIMUM_REMOVED"},
	{"number", `{"type":"number","minimum":-1e3}`, `{"type":"number","minimum":-999}`, "! MINIMUM_INCREASED", "MINIMUM_DECREASED"},
	{"number", `{"type":"number"}`, `{"type":"number","exclusiveMaximum":3}`, "! EXCLUSIVE_MAXIMUM_ADDED", "EXCLUSIVE_MAXIMUM_REMOVED"},
	{"number", `{"type":"number","exclusiveMaximum":9007199254740993}`, `{"type":"number","exclusiveMaximum":9007199254740992}`, "! EXCLUSIVE_MAXIMUM_DECREASED", "EXCLUSIVE_MAXIMUM_INCREASED"},
	{"number", `{"type":"number"}`, `{"type":"number","exclusiveMinimum":3}`, "! EXCLUSIVE_MINIMUM_ADDED", "EXCLUSIVE_MINIMUM_REMOVED"},
	{"number", `{"type":"number","exclusiveMinimum":2}`, `{"type":"number","exclusiveMinimum":3}`, "! EXCLUSIVE_MINIMUM_INCREASED", "EXCLUSIVE_MINIMUM_DECREASED"},
	{"number", `{"type":"number"}`, `{"type":"number","multipleOf":3}`, "! MULTIPLE_OF_ADDED", "MULTIPLE_OF_REMOVED"},
	{"number", `{"type":"number","multipleOf":0.1}`, `{"type":"number","multipleOf":0.3}`, "! MULTIPLE_OF_EXPANDED", "MULTIPLE_OF_REDUCED"},
	{"number", `{"type":"number","multipleOf":0.2}`, `{"type":"number","multipleOf":0.3}`, "! MULTIPLE_OF_CHANGED", "! MULTIPLE_OF_CHANGED"},

	{"object limits", `{"properties":{"a":{"type":"null"}}}`, `{"properties":{"a":{"type":"null"}},"required":["a"]}`, "! REQUIRED_ATTRIBUTE_ADDED", "REQUIRED_ATTRIBUTE_REMOVED"},
	{"object limits", `{"properties":{"a":{"default":1}}}`, `{"properties":{"a":{"default":1}},"required":["a"]}`, "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED", "REQUIRED_ATTRIBUTE_REMOVED"},
	{"object limits", `{"type":"object"}`, `{"type":"object","maxProperties":3}`, "! MAX_PROPERTIES_ADDED", "MAX_PROPERTIES_REMOVED"},
	{"object limits", `{"type":"object","maxProperties":4}`, `{"type":"object","maxProperties":3}`, "! MAX_PROPERTIES_DECREASED", "MAX_PROPERTIES_INCREASED"},
	{"object limits", `{"type":"object"}`, `{"type":"object","minProperties":3}`, "! MIN_PROPERTIES_ADDED", "MIN_PROPERTIES_REMOVED"},
	{"object limits", `{"type":"object","minProperties":2}`, `{"type":"object","minProperties":3}`, "! MIN_PROPERTIES_INCREASED", "MIN_PROPERTIES_DECREASED"},
	{"object limits", `{"type":"object"}`, `{"type":"object","dependencies":{"a":["b"]}}`, "! DEPENDENCY_ARRAY_ADDED", "DEPENDENCY_ARRAY_REMOVED"},
	{"object limits", `{"type":"object","dependencies":{"a":["b"]}}`, `{"type":"object","dependencies":{"a":["c","b"]}}`, "! DEPENDENCY_ARRAY_EXTENDED", "DEPENDENCY_ARRAY_NARROWED"},
	{"object limits", `{"type":"object","dependencies":{"a":["b"]}}`, `{"type":"object","dependencies":{"a":["c"]}}`, "! DEPENDENCY_ARRAY_CHANGED", "! DEPENDENCY_ARRAY_CHANGED"},
	{"object limits", `{"type":"object"}`, `{"type":"object","dependencies":{"a":false}}`, "! DEPENDENCY_SCHEMA_ADDED", "DEPENDENCY_SCHEMA_REMOVED"},
	{"object limits", d19(`"type":"object"`), d19(`"type":"object","dependentSchemas":{"a":false}`), "! DEPENDENCY_SCHEMA_ADDED", "DEPENDENCY_SCHEMA_REMOVED"},

	{"content model", `{"type":"object"}`, `{"type":"object","additionalProperties":false}`, "? ADDITIONAL_PROPERTIES_REMOVED", "ADDITIONAL_PROPERTIES_ADDED"},
	{"content model", `{"type":"object"}`, `{"type":"object","additionalProperties":{"type":"null"}}`, "? ADDITIONAL_PROPERTIES_NARROWED", "ADDITIONAL_PROPERTIES_EXTENDED"},
	{"content model", `{"type":"object","additionalProperties":{"type":"null"}}`, `{"type":"object","additionalProperties":false}`, "? ADDITIONAL_PROPERTIES_REMOVED", "ADDITIONAL_PROPERTIES_ADDED"},
	{"content model", d20(`"type":"object"`), d20(`"type":"object","unevaluatedProperties":false`), "? UNEVALUATED_PROPERTIES_REMOVED", "UNEVALUATED_PROPERTIES_ADDED"},
	{"content model", d20(`"type":"object"`), d20(`"type":"object","unevaluatedProperties":{"type":"null"}`), "? UNEVALUATED_PROPERTIES_NARROWED", "UNEVALUATED_PROPERTIES_EXTENDED"},
	{"content model", d20(`"type":"object"`), d20(`"type":"object","unevaluatedProperties":true`), "", ""},

	{"property, open", `{"type":"object"}`, `{"type":"object","properties":{"a":{}}}`, "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL", "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL"},
	{"property, open", `{"type":"object"}`, `{"type":"object","properties":{"a":{"type":"null"}}}`, "? OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL"},
	{"property, open", `{"type":"object"}`, `{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}`, "! REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL"},
	{"property, open", `{"type":"object"}`, `{"type":"object","properties":{"a":{"type":"null","default":null}},"required":["a"]}`, "? REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL", "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL"},
	{"property, closed", `{"additionalProperties":false}`, `{"additionalProperties":false,"properties":{"a":{"type":"null"}}}`, "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", "? PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"},
	{"property, closed", `{"additionalProperties":false}`, `{"additionalProperties":false,"properties":{"a":false}}`, "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL"},
	{"property, closed", `{"additionalProperties":false}`, `{"additionalProperties":false,"properties":{"a":{"type":"null"}},"required":["a"]}`, "! REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", "? PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"},
	{"property, closed", `{"additionalProperties":false}`, `{"additionalProperties":false,"properties":{"a":{"default":1}},"required":["a"]}`, "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL", "? PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"},
	{"property, covered", `{"additionalProperties":{"type":"null"}}`, `{"additionalProperties":{"type":"null"},"properties":{"a":{"type":"null"}}}`,
		"PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"},
	{"property, covered", `{"patternProperties":{"a":{"type":"null"}}}`, `{"patternProperties":{"a":{"type":"null"}},"properties":{"a":{"type":"string"}}}`,
		"! TYPE_CHANGED ? PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", "! TYPE_CHANGED ? PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"},
	{"property, two patterns", `{"patternProperties":{"a":{"type":"null"},"^ab":{"type":"string"}}}`, `{"patternProperties":{"a":{"type":"null"},"^ab":{"type":"string"}},"properties":{"ab":{"type":"string"}}}`,
		"PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", "! TYPE_CHANGED ? PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"},
	{"property, two patterns", `{"patternProperties":{"a":{"type":"null"},"^ab":{"type":"string"}}}`, `{"patternProperties":{"a":{"type":"null"},"^ab":{"type":"string"}},"properties":{"ab":{"type":"null"}}}`,
		"PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", "! TYPE_CHANGED ? PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"},
	{"property, no pattern", `{"patternProperties":{"b":{"type":"null"}}}`, `{"patternProperties":{"b":{"type":"null"}},"properties":{"a":{"type":"null"}}}`, "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", "? PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"},

	{"array", `{"type":"array"}`, `{"type":"array","maxItems":3}`, "! MAX_ITEMS_ADDED", "MAX_ITEMS_REMOVED"},
	{"array", `{"type":"array","maxItems":4}`, `{"type":"array","maxItems":3}`, "! MAX_ITEMS_DECREASED", "MAX_ITEMS_INCREASED"},
	{"array", `{"type":"array"}`, `{"type":"array","minItems":3}`, "! MIN_ITEMS_ADDED", "MIN_ITEMS_REMOVED"},
	{"array", `{"type":"array","minItems":2}`, `{"type":"array","minItems":3}`, "! MIN_ITEMS_INCREASED", "MIN_ITEMS_DECREASED"},
	{"array", d20(`"contains":{}`), d20(`"contains":{},"maxContains":3`), "! MAX_CONTAINS_ADDED", "MAX_CONTAINS_REMOVED"},
	{"array", d20(`"contains":{},"maxContains":4`), d20(`"contains":{},"maxContains":3`), "! MAX_CONTAINS_DECREASED", "MAX_CONTAINS_INCREASED"},
	{"array", d20(`"type":"array"`), d20(`"type":"array","contains":{}`), "! MIN_CONTAINS_ADDED", "MIN_CONTAINS_REMOVED"},
	{"array", d20(`"contains":{}`), d20(`"contains":{},"minContains":2`), "! MIN_CONTAINS_INCREASED", "MIN_CONTAINS_DECREASED"},
	{"array", `{"type":"array"}`, `{"type":"array","contains":{}}`, "", ""},
	{"array", `{"type":"array"}`, `{"type":"array","uniqueItems":true}`, "! UNIQUE_ITEMS_ADDED", "UNIQUE_ITEMS_REMOVED"},
	{"array", `{"items":[{}]}`, `{"items":[{}],"additionalItems":false}`, "! ADDITIONAL_ITEMS_REMOVED", "ADDITIONAL_ITEMS_ADDED"},
	{"array", `{"items":[{}]}`, `{"items":[{}],"additionalItems":{"type":"null"}}`, "! ADDITIONAL_ITEMS_NARROWED", "ADDITIONAL_ITEMS_EXTENDED"},
	{"array", d19(`"type":"array"`), d19(`"type":"array","unevaluatedItems":false`), "! UNEVALUATED_ITEMS_REMOVED", "UNEVALUATED_ITEMS_ADDED"},
	{"array", d19(`"type":"array"`), d19(`"type":"array","unevaluatedItems":{"type":"null"}`), "! UNEVALUATED_ITEMS_NARROWED", "UNEVALUATED_ITEMS_EXTENDED"},

	{"tuple", `{"items":[{}]}`, `{"items":[{},{}]}`, "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL", "ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL"},
	{"tuple", `{"items":[{}]}`, `{"items":[{},{"type":"null"}]}`, "! ITEM_ADDED_TO_OPEN_CONTENT_MODEL", "ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL"},
	{"tuple", `{"items":[{}],"additionalItems":false}`, `{"items":[{},{"type":"null"}],"additionalItems":false}`, "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL", "! ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"},
	{"tuple", `{"items":[{}],"additionalItems":false}`, `{"items":[{},false],"additionalItems":false}`, "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL", "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL"},
	{"tuple", d20(`"prefixItems":[{}],"items":{"type":"null"}`), d20(`"prefixItems":[{},{"type":"null"}],"items":{"type":"null"}`), "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"},
	{"tuple", d20(`"prefixItems":[{}],"items":{"type":"null"}`), d20(`"prefixItems":[{},{"type":"string"}],"items":{"type":"null"}`), "! TYPE_CHANGED ! ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "! TYPE_CHANGED ! ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"},

	{"enum", `{"enum":["a","b"]}`, `{"enum":["a"]}`, "! ENUM_ARRAY_NARROWED", "ENUM_ARRAY_EXTENDED"},
	{"enum", `{"enum":["a","b"]}`, `{"enum":["a","c"]}`, "! ENUM_ARRAY_CHANGED", "! ENUM_ARRAY_CHANGED"},
	{"enum", `{"const":"a"}`, `{"const":"b"}`, "! ENUM_ARRAY_CHANGED", "! ENUM_ARRAY_CHANGED"},

	{"combined", `{"anyOf":[{"type":"null"},{"type":"string"}]}`, `{"oneOf":[{"type":"null"},{"type":"string"}]}`, "! COMBINED_TYPE_CHANGED", "COMBINED_TYPE_EXTENDED"},
	{"combined", `{"anyOf":[{"type":"null"},{"type":"string"}]}`, `{"allOf":[{"type":"null"},{"type":"string"}]}`, "! COMBINED_TYPE_CHANGED", "COMBINED_TYPE_EXTENDED"},
	{"combined", `{"oneOf":[{"type":"null"}]}`, `{"allOf":[{"type":"null"}]}`, "COMBINED_TYPE_EXTENDED", "COMBINED_TYPE_EXTENDED"},
	{"combined", `{"oneOf":[{"type":"null"}]}`, `{"allOf":[{"type":"null"},{"minLength":1}]}`, "! COMBINED_TYPE_CHANGED", "COMBINED_TYPE_EXTENDED PRODUCT_TYPE_NARROWED"},
	{"combined", `{"anyOf":[{"type":"null"},{"type":"string"}]}`, `{"anyOf":[{"type":"null"}]}`, "! SUM_TYPE_NARROWED", "SUM_TYPE_EXTENDED"},
	{"combined", `{"oneOf":[{"type":"null"},{"type":"string"}]}`, `{"type":"string"}`, "! TYPE_CHANGED", "SUM_TYPE_EXTENDED"},
	{"combined", `{"allOf":[{"type":"string"}]}`, `{"allOf":[{"type":"string"},{"minLength":1}]}`, "! PRODUCT_TYPE_EXTENDED", "PRODUCT_TYPE_NARROWED"},
	{"combined", `{"type":"string"}`, `{"allOf":[{"type":"string"},{"minLength":1}]}`, "! TYPE_CHANGED", "PRODUCT_TYPE_NARROWED"},
	{"combined", `{"type":"string"}`, `{"type":"string","enum":["a"]}`, "! TYPE_CHANGED", "PRODUCT_TYPE_NARROWED"},
	{"combined", `{"oneOf":[{"type":"null"},{"maxLength":3}]}`, `{"oneOf":[{"maxLength":2},{"type":"null"}]}`, "! COMBINED_TYPE_SUBSCHEMAS_CHANGED", "MAX_LENGTH_INCREASED"},
	{"combined", `{"oneOf":[{"type":"string"}]}`, `{"oneOf":[{"type":"string"},{ "type":"string"}]}`, "", ""},
	{"combined", `{"type":"string"}`, `{"anyOf":[{"type":"string","maxLength":3}]}`, "! TYPE_CHANGED", "MAX_LENGTH_REMOVED"},
	{"combined", `{"not":{"maxLength":2}}`, `{"not":{"maxLength":3}}`, "! NOT_TYPE_EXTENDED", "NOT_TYPE_NARROWED"},
	{"reference", `{"items":{"$ref":"#/definitions/a"},"definitions":{"a":{"type":"number"}}}`, `{"items":{"$ref":"#/definitions/a"},"definitions":{"a":{"type":"integer"}}}`, "! TYPE_NARROWED", "TYPE_EXTENDED"},
	{"reference", `{"items":{"$ref":"#/definitions/a"},"definitions":{"a":{"type":"null"}}}`, `{"items":{"$ref":"#/definitions/a","format":"date"},"definitions":{"a":{"type":"null"}}}`, "", ""},
	{"reference", `{"properties":{"a":{"$ref":"#/definitions/a","default":1}},"definitions":{"a":{"type":"null"}}}`, `{"properties":{"a":{"$ref":"#/definitions/a","default":1}},"required":["a"],"definitions":{"a":{"type":"null"}}}`, "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED", "REQUIRED_ATTRIBUTE_REMOVED"},
	{"reference", `{"properties":{"a":{"$ref":"#/definitions/a"}},"definitions":{"a":{"default":1}}}`, `{"properties":{"a":{"$ref":"#/definitions/a"}},"required":["a"],"definitions":{"a":{"default":1}}}`, "! REQUIRED_ATTRIBUTE_ADDED", "REQUIRED_ATTRIBUTE_REMOVED"},
	{"reference", d19(`"$recursiveRef":"#/$defs/a","$defs":{"a":{"type":"number"}}`), d19(`"$recursiveRef":"#/$defs/a","$defs":{"a":{"type":"integer"}}`), "! TYPE_NARROWED", "TYPE_EXTENDED"},
	{"reference", d20(`"$dynamicRef":"#/$defs/a","$defs":{"a":{"type":"number"}}`), d20(`"$dynamicRef":"#/$defs/a","$defs":{"a":{"type":"integer"}}`), "! TYPE_NARROWED", "TYPE_EXTENDED"},
}

func TestFamilies(t *testing.T) {
	for _, f := range families {
		checkTurn(t, f.family, f.loose, f.tight, f.tightened)
		checkTurn(t, f.family, f.tight, f.loose, f.loosened)
	}
}

// checkTurn compares two schemas, under both policies too.
func checkTurn(t *testing.T, family, from, to, want string) {
	t.Helper()
	old, new := mustParse(t, from), mustParse(t, to)
	c := newComparison(false)
	var got []string
	strict, lenient := 0, 0
	for _, d := range c.list(c.form(old.docs, old.compiled), c.form(new.docs, new.compiled), true) {
		switch {
		case c.types[d.kind].harms(true):
			got = append(got, "! "+d.kind)
			strict, lenient = strict+1, lenient+1
		case c.types[d.kind].harms(false):
			got = append(got, "? "+d.kind)
			strict++
		default:
			got = append(got, d.kind)
		}
	}
	slices.Sort(got)
	words := strings.Fields(want)
	var list []string
	for i := 0; i < len(words); i++ {
		if len(words[i]) == 1 {
			i++
			words[i] = words[i-1] + " " + words[i]
		}
		list = append(list, words[i])
	}
	if slices.Sort(list); !slices.Equal(got, list) {
		t.Errorf("%s: %s to\n%s\n got %q\nwant %q", family, from, to, got, list)
	}
	if n := len(new.Reads(old)); n != strict {
		t.Errorf("%s: %s to\n%s\nReads lists %d differences, want %d", family, from, to, n, strict)
	}
	if n := len(new.ReadsLenient(old)); n != lenient {
		t.Errorf("%s: %s to\n%s\nReadsLenient lists %d differences, want %d", family, from, to, n, lenient)
	}
}

// TestChangeTable holds the comparison to the table of cases, and that to all types
// of differences.
func TestChangeTable(t *testing.T) {
	seen := map[string]bool{}
	schematest.RunChanges(t, schema.JSON, Parse, func(old, new schema.Schema) []string {
		all, _ := allDifferences(t, old.(*Schema), new.(*Schema), seen)
		for i, d := range all {
			kind, path, _ := strings.Cut(d, " ")
			all[i] = kind + " #" + path
		}
		return all
	})
	checkTypes(t, seen)
}
