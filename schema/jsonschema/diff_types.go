package jsonschema

// verdict says whether a difference keeps old data from being read.
type verdict uint8

const (
	passes verdict = iota
	breaks         // under every policy
	strict         // under STRICT; the policy LENIENT lets it pass
)

// differenceType is a type of difference, named as Confluent's registry names it.
type differenceType struct {
	name    string
	verdict verdict
	// text is what a description begins with, of a type that does not pass: the
	// first %s is the reader's side, the second the writer's. The path and, where
	// there are some, values follow it; they may hold a %s of their own, so they
	// must come last.
	text string
}

// harms says whether a difference keeps data from being read. A type that is not
// in the table does.
func (t differenceType) harms(lenient bool) bool {
	return t.name == "" || t.verdict == breaks || t.verdict == strict && !lenient
}

// tooLarge is not among Confluent's types: a limit ended the comparison.
const tooLarge = "COMPARISON_TOO_LARGE"

// differenceTypes are all types of differences, by family. Read only.
var differenceTypes = [...]differenceType{
	{tooLarge, breaks, "the %s schema and the %s schema are too large or too entangled to compare"},

	// what a schema is about
	{"ID_CHANGED", passes, ""},
	{"TITLE_CHANGED", passes, ""},
	{"DESCRIPTION_CHANGED", passes, ""},
	{"DEFAULT_CHANGED", passes, ""},
	{"SCHEMA_ADDED", breaks, "the %s schema restricts all items and the %s schema does not"},
	{"SCHEMA_REMOVED", passes, ""},
	{"TYPE_EXTENDED", passes, ""},
	{"TYPE_NARROWED", breaks, "the %s schema takes only integers where the %s schema takes any number"},
	{"TYPE_CHANGED", breaks, "the %s schema expects something else than the %s schema"},

	// strings
	{"MAX_LENGTH_ADDED", breaks, "the %s schema limits the length of a text, the %s schema does not"},
	{"MAX_LENGTH_DECREASED", breaks, "the %s schema takes only shorter texts than the %s schema"},
	{"MAX_LENGTH_INCREASED", passes, ""},
	{"MAX_LENGTH_REMOVED", passes, ""},
	{"MIN_LENGTH_ADDED", breaks, "the %s schema sets a least length of a text, the %s schema does not"},
	{"MIN_LENGTH_INCREASED", breaks, "the %s schema takes only longer texts than the %s schema"},
	{"MIN_LENGTH_DECREASED", passes, ""},
	{"MIN_LENGTH_REMOVED", passes, ""},
	{"PATTERN_ADDED", breaks, "the %s schema holds texts to a pattern, the %s schema does not"},
	{"PATTERN_CHANGED", breaks, "the %s schema has another pattern than the %s schema"},
	{"PATTERN_REMOVED", passes, ""},

	// numbers
	{"MAXIMUM_ADDED", breaks, "the %s schema sets a greatest number, the %s schema does not"},
	{"MAXIMUM_DECREASED", breaks, "the %s schema ends at a smaller number than the %s schema"},
	{"MAXIMUM_INCREASED", passes, ""},
	{"MAXIMUM_REMOVED", passes, ""},
	{"MINIMUM_ADDED", breaks, "the %s schema sets a least number, the %s schema does not"},
	{"MINIMUM_INCREASED", breaks, "the %s schema begins at a greater number than the %s schema"},
	{"MINIMUM_DECREASED", passes, ""},
	{"MINIMUM_REMOVED", passes, ""},
	{"EXCLUSIVE_MAXIMUM_ADDED", breaks, "the %s schema wants numbers below a bound, the %s schema has none"},
	{"EXCLUSIVE_MAXIMUM_DECREASED", breaks, "the %s schema wants numbers below a smaller bound than the %s schema"},
	{"EXCLUSIVE_MAXIMUM_INCREASED", passes, ""},
	{"EXCLUSIVE_MAXIMUM_REMOVED", passes, ""},
	{"EXCLUSIVE_MINIMUM_ADDED", breaks, "the %s schema wants numbers above a bound, the %s schema has none"},
	{"EXCLUSIVE_MINIMUM_INCREASED", breaks, "the %s schema wants numbers above a greater bound than the %s schema"},
	{"EXCLUSIVE_MINIMUM_DECREASED", passes, ""},
	{"EXCLUSIVE_MINIMUM_REMOVED", passes, ""},
	{"MULTIPLE_OF_ADDED", breaks, "the %s schema takes multiples of a number only, the %s schema takes others"},
	{"MULTIPLE_OF_EXPANDED", breaks, "the %s schema takes multiples of a greater number than the %s schema"},
	{"MULTIPLE_OF_CHANGED", breaks, "the %s schema takes multiples of another number than the %s schema"},
	{"MULTIPLE_OF_REDUCED", passes, ""},
	{"MULTIPLE_OF_REMOVED", passes, ""},

	// how many properties, which ones, and what they bring with them
	{"REQUIRED_ATTRIBUTE_ADDED", breaks, "the %s schema requires a property that is optional in the %s schema"},
	{"REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED", passes, ""},
	{"REQUIRED_ATTRIBUTE_REMOVED", passes, ""},
	{"MAX_PROPERTIES_ADDED", breaks, "the %s schema limits how many properties there are, the %s schema does not"},
	{"MAX_PROPERTIES_DECREASED", breaks, "the %s schema takes fewer properties than the %s schema"},
	{"MAX_PROPERTIES_INCREASED", passes, ""},
	{"MAX_PROPERTIES_REMOVED", passes, ""},
	{"MIN_PROPERTIES_ADDED", breaks, "the %s schema asks for a number of properties, the %s schema does not"},
	{"MIN_PROPERTIES_INCREASED", breaks, "the %s schema asks for more properties than the %s schema"},
	{"MIN_PROPERTIES_DECREASED", passes, ""},
	{"MIN_PROPERTIES_REMOVED", passes, ""},
	{"DEPENDENCY_ARRAY_ADDED", breaks, "the %s schema makes a property demand others, the %s schema does not"},
	{"DEPENDENCY_ARRAY_EXTENDED", breaks, "the %s schema makes a property demand more than the %s schema"},
	{"DEPENDENCY_ARRAY_CHANGED", breaks, "the %s schema makes a property demand others than the %s schema"},
	{"DEPENDENCY_ARRAY_NARROWED", passes, ""},
	{"DEPENDENCY_ARRAY_REMOVED", passes, ""},
	{"DEPENDENCY_SCHEMA_ADDED", breaks, "the %s schema applies a schema where a property is set, the %s schema does not"},
	{"DEPENDENCY_SCHEMA_REMOVED", passes, ""},

	// properties that no one named
	{"ADDITIONAL_PROPERTIES_ADDED", passes, ""},
	{"ADDITIONAL_PROPERTIES_EXTENDED", passes, ""},
	{"ADDITIONAL_PROPERTIES_NARROWED", strict, "the %s schema takes only some further properties, the %s schema takes any"},
	{"ADDITIONAL_PROPERTIES_REMOVED", strict, "the %s schema takes no further properties, the %s schema does"},
	{"UNEVALUATED_PROPERTIES_ADDED", passes, ""},
	{"UNEVALUATED_PROPERTIES_EXTENDED", passes, ""},
	{"UNEVALUATED_PROPERTIES_NARROWED", strict, "the %s schema takes only some unevaluated properties, the %s schema takes any"},
	{"UNEVALUATED_PROPERTIES_REMOVED", strict, "the %s schema takes no unevaluated properties, the %s schema does"},

	// properties that only the reader names
	{"PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL", passes, ""},
	{"OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", strict, "the %s schema names a property that could hold anything in the %s schema"},
	{"REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL", strict, "the %s schema requires a property, with a default, that could hold anything in the %s schema"},
	{"REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", breaks, "the %s schema requires a property that could be missing or hold anything in the %s schema"},
	{"OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", passes, ""},
	{"REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL", passes, ""},
	{"REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", breaks, "the %s schema requires a property that the %s schema does not name"},
	{"PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", passes, ""},
	{"PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", strict, "the %s schema names a property and does not take what could stand under its name in the %s schema"},

	// properties that only the writer names
	{"PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL", passes, ""},
	{"PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL", passes, ""},
	{"PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", strict, "the %s schema has no room for a property of the %s schema"},
	{"PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", passes, ""},
	{"PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", strict, "the %s schema takes under this name less than the property of the %s schema"},

	// arrays
	{"MAX_ITEMS_ADDED", breaks, "the %s schema limits how many items there are, the %s schema does not"},
	{"MAX_ITEMS_DECREASED", breaks, "the %s schema takes fewer items than the %s schema"},
	{"MAX_ITEMS_INCREASED", passes, ""},
	{"MAX_ITEMS_REMOVED", passes, ""},
	{"MIN_ITEMS_ADDED", breaks, "the %s schema asks for a number of items, the %s schema does not"},
	{"MIN_ITEMS_INCREASED", breaks, "the %s schema asks for more items than the %s schema"},
	{"MIN_ITEMS_DECREASED", passes, ""},
	{"MIN_ITEMS_REMOVED", passes, ""},
	{"MAX_CONTAINS_ADDED", breaks, "the %s schema limits how many items may match contains, the %s schema does not"},
	{"MAX_CONTAINS_DECREASED", breaks, "the %s schema lets fewer items match contains than the %s schema"},
	{"MAX_CONTAINS_INCREASED", passes, ""},
	{"MAX_CONTAINS_REMOVED", passes, ""},
	{"MIN_CONTAINS_ADDED", breaks, "the %s schema wants items that match contains, the %s schema does not"},
	{"MIN_CONTAINS_INCREASED", breaks, "the %s schema wants more items that match contains than the %s schema"},
	{"MIN_CONTAINS_DECREASED", passes, ""},
	{"MIN_CONTAINS_REMOVED", passes, ""},
	{"UNIQUE_ITEMS_ADDED", breaks, "the %s schema takes no item twice, the %s schema does"},
	{"UNIQUE_ITEMS_REMOVED", passes, ""},
	{"ADDITIONAL_ITEMS_ADDED", passes, ""},
	{"ADDITIONAL_ITEMS_EXTENDED", passes, ""},
	{"ADDITIONAL_ITEMS_NARROWED", breaks, "the %s schema takes only some further items, the %s schema takes any"},
	{"ADDITIONAL_ITEMS_REMOVED", breaks, "the %s schema takes no further items, the %s schema does"},
	{"UNEVALUATED_ITEMS_ADDED", passes, ""},
	{"UNEVALUATED_ITEMS_EXTENDED", passes, ""},
	{"UNEVALUATED_ITEMS_NARROWED", breaks, "the %s schema takes only some unevaluated items, the %s schema takes any"},
	{"UNEVALUATED_ITEMS_REMOVED", breaks, "the %s schema takes no unevaluated items, the %s schema does"},

	// items by their place
	{"ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL", passes, ""},
	{"ITEM_ADDED_TO_OPEN_CONTENT_MODEL", breaks, "the %s schema restricts a place that could hold anything in the %s schema"},
	{"ITEM_ADDED_TO_CLOSED_CONTENT_MODEL", passes, ""},
	{"ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", passes, ""},
	{"ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", breaks, "the %s schema does not take at this place what could stand there in the %s schema"},
	{"ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL", passes, ""},
	{"ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL", passes, ""},
	{"ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL", breaks, "the %s schema has no room for a place of the %s schema"},
	{"ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", passes, ""},
	{"ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", breaks, "the %s schema takes at this place less than the %s schema"},

	// listed values
	{"ENUM_ARRAY_EXTENDED", passes, ""},
	{"ENUM_ARRAY_NARROWED", breaks, "the %s schema lists fewer values than the %s schema"},
	{"ENUM_ARRAY_CHANGED", breaks, "the %s schema lists other values than the %s schema"},

	// combined schemas
	{"COMBINED_TYPE_EXTENDED", passes, ""},
	{"COMBINED_TYPE_CHANGED", breaks, "the %s schema combines its members in a stricter way than the %s schema"},
	{"COMBINED_TYPE_SUBSCHEMAS_CHANGED", breaks, "the %s schema has no fitting members for those of the %s schema"},
	{"PRODUCT_TYPE_EXTENDED", breaks, "the %s schema demands more members at once than the %s schema"},
	{"PRODUCT_TYPE_NARROWED", passes, ""},
	{"SUM_TYPE_EXTENDED", passes, ""},
	{"SUM_TYPE_NARROWED", breaks, "the %s schema leaves fewer members to choose from than the %s schema"},
	{"NOT_TYPE_EXTENDED", breaks, "the %s schema forbids more than the %s schema"},
	{"NOT_TYPE_NARROWED", passes, ""},
}
