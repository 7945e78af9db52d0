package schema

// Field is a field of a payload that holds one value and no others, as rules of
// single fields see it. Its names are those that Confluent's clients give it.
type Field struct {
	// Name is the field's own, FullName begins with that of its record or
	// message; of JSON it is a path that begins with "$".
	Name, FullName string
	// Type is INT, LONG, FLOAT, DOUBLE, STRING, BYTES, BOOLEAN or NULL.
	Type string
	// Tags are those that stand in the schema's text.
	Tags []string
}
