package sink

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// Values of Topic.ValueVersion beside the numbers of versions.
const (
	// OwnVersion reads each value by the schema it was written with.
	OwnVersion = 0
	// LatestVersion resolves values to the latest version that the topic takes.
	LatestVersion = -1
)

// reader is the schema whose rows the values of a cut become, and what was made
// of it so far. Owned by the cut.
type reader struct {
	schema schema.Resolver // nil: each value's own
	name   string          // for messages
	made   map[schema.Schema]resolved
}

type resolved struct {
	decoder schema.Decoder
	err     error
}

// newReader finds the version that the topic's values are brought to. Languages
// that do not resolve are read as they are written.
func (s *sink) newReader() reader {
	if _, is := s.plain(valuePart); is || s.topic.ValueVersion == OwnVersion {
		return reader{}
	}
	how := s.reading(valuePart)
	p, ok, err := s.registry.Newest(s.versioned(&how))
	if !ok || err != nil {
		return reader{}
	}
	r, _ := p.Schema.(schema.Resolver)
	return reader{schema: r, name: fmt.Sprintf("schema %d", p.ID), made: map[schema.Schema]resolved{}}
}

// versioned narrows a reading of values to the version that tables are made of.
func (s *sink) versioned(how *registry.Reading) *registry.Reading {
	if n := s.topic.ValueVersion; n > 0 {
		how.Latest, how.Versions = false, []int{n}
	}
	return how
}

// read puts the decoder that brings p to the reader's version in place of its
// own.
func (r *reader) read(p registry.Payload) (registry.Payload, error) {
	if r.schema == nil {
		return p, nil
	}
	made, ok := r.made[p.Schema]
	if !ok {
		made.decoder, made.err = r.schema.Resolve(p.Schema)
		r.made[p.Schema] = made
	}
	if made.err != nil {
		return p, &registry.Unresolved{Reason: fmt.Sprintf("schema %d cannot be read as %s (tarn.table.value.version): %v", p.ID, r.name, made.err), ID: p.ID}
	}
	p.Decoder = made.decoder
	return p, nil
}

// knownColumns are the columns of the versions that may say how the fields of
// others are named.
func (s *sink) knownColumns() []*arrow.Schema {
	var out []*arrow.Schema
	if _, is := s.plain(valuePart); !is {
		u := NewUnwrapper(s.topic.Unwrap)
		for _, value := range s.registry.Known(s.subject(valuePart)) {
			out = append(out, u.Columns(value))
		}
	}
	if _, is := s.plain(keyPart); is {
		return out
	}
	for _, key := range s.registry.Known(s.subject(keyPart)) {
		out = append(out, arrow.NewSchema([]arrow.Field{keyColumn(key)}, nil))
	}
	return out
}

// Renamed is the data under other names of its fields: the types are alike but
// for these.
func Renamed(from arrow.ArrayData, to arrow.DataType) arrow.ArrayData {
	var types []arrow.DataType
	switch t := to.(type) {
	case *arrow.StructType:
		for _, f := range t.Fields() {
			types = append(types, f.Type)
		}
	case *arrow.ListType:
		types = []arrow.DataType{t.Elem()}
	case *arrow.MapType:
		types = []arrow.DataType{t.Elem()}
	default:
		return from
	}
	kids := make([]arrow.ArrayData, len(types))
	for i, k := range from.Children() {
		kids[i] = Renamed(k, types[i])
	}
	return array.NewData(to, from.Len(), from.Buffers(), kids, from.NullN(), from.Offset())
}
