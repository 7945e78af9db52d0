package schema

// Change is one difference between two versions of a schema, whether it does harm
// or not.
type Change struct {
	// Incompatibility names and describes it. Its Description is empty where it does
	// no harm.
	Incompatibility
	// Field is the field that it is about as a path of column names: dotted, with
	// "element", "key" and "value" for what lists and maps hold. "" is the schema as
	// a whole.
	Field string
	// Breaks says that it keeps data of the writer from being read.
	Breaks bool
}

// Differ is a schema that lists everything that changed since another version, for
// people: Schema.Reads lists only what does harm. All three languages have it.
type Differ interface {
	// Changes lists what differs where this schema reads data of writer, which has
	// the same Type. Those that break are Reads'.
	Changes(writer Schema) []Change
}

// Changes lists everything that differs where reader reads data of writer. It is
// empty for schemas of two languages.
func Changes(reader, writer Schema) []Change {
	if d, ok := reader.(Differ); ok && reader.Type() == writer.Type() {
		return d.Changes(writer)
	}
	return nil
}
