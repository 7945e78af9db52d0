package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// cellKind says what the JSON of a field looks like, so that the text of a CSV file
// and the values of a Parquet file can be written so.
type cellKind int

const (
	// cellGuess is a field that no schema tells of: numbers, true and false are
	// taken for such.
	cellGuess cellKind = iota
	cellText
	cellTextOrNull // nothing is null
	cellJSON       // numbers, truths, records, lists
	cellMillis
	cellMicros
	cellNanos
	cellDays // since 1970
)

// kinds are those of a value's top-level fields.
func (s *payloadSchema) kinds(message string) map[string]cellKind {
	out := map[string]cellKind{}
	switch s.typ {
	case sr.TypeAvro:
		var record struct {
			Fields []struct {
				Name string `json:"name"`
				Type any    `json:"type"`
			} `json:"fields"`
		}
		if json.Unmarshal([]byte(s.text), &record) == nil {
			for _, f := range record.Fields {
				out[f.Name] = avroKind(f.Type)
			}
		}
	case sr.TypeJSON:
		var object struct {
			Properties map[string]struct {
				Type any `json:"type"`
			} `json:"properties"`
		}
		if json.Unmarshal([]byte(s.text), &object) == nil {
			for name, p := range object.Properties {
				out[name] = jsonKind(p.Type)
			}
		}
	case sr.TypeProtobuf:
		index, _ := s.proto.Index(message)
		md, err := s.proto.Message(index)
		if err != nil {
			return out
		}
		for i := range md.Fields().Len() {
			f := md.Fields().Get(i)
			kind := protoKind(f)
			out[string(f.Name())], out[f.JSONName()] = kind, kind
		}
	}
	return out
}

// avroKind is that of a type as Avro's JSON has it. Of a union the first branch
// counts that is not null.
func avroKind(t any) cellKind {
	switch t := t.(type) {
	case string:
		switch t {
		case "string", "bytes":
			return cellText
		case "boolean", "int", "long", "float", "double":
			return cellJSON
		}
	case []any:
		for _, branch := range t {
			if branch != "null" {
				if kind := avroKind(branch); kind != cellText || !slices.Contains(t, "null") {
					return kind
				}
				return cellTextOrNull
			}
		}
	case map[string]any:
		switch t["logicalType"] {
		case "timestamp-millis", "local-timestamp-millis":
			return cellMillis
		case "timestamp-micros", "local-timestamp-micros":
			return cellMicros
		case "timestamp-nanos", "local-timestamp-nanos":
			return cellNanos
		case "date":
			return cellDays
		}
		switch t["type"] {
		case "enum", "fixed", "string", "bytes":
			return cellText
		case "record", "array", "map":
			return cellJSON
		}
		return avroKind(t["type"])
	}
	return cellGuess // a name
}

// jsonKind is that of a JSON Schema's "type".
func jsonKind(t any) cellKind {
	if list, ok := t.([]any); ok {
		switch {
		case slices.Contains(list, "string") && slices.Contains(list, "null"):
			return cellTextOrNull
		case slices.Contains(list, "string"):
			return cellText
		}
		return cellJSON
	}
	switch t {
	case "string":
		return cellText
	case nil:
		return cellGuess
	}
	return cellJSON
}

func protoKind(f protoreflect.FieldDescriptor) cellKind {
	if f.IsList() || f.IsMap() {
		return cellJSON
	}
	switch f.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.EnumKind:
		return cellText
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if name := f.Message().FullName(); name == "google.protobuf.Timestamp" || name == "google.protobuf.Duration" {
			return cellText
		}
	}
	return cellJSON
}

// cell writes a text as a field's JSON. What does not fit becomes a text: what is
// wrong with it the schema says.
func cell(text string, kind cellKind) json.RawMessage {
	quoted := func() json.RawMessage {
		b, _ := json.Marshal(text) // texts always marshal
		return b
	}
	switch kind {
	case cellText:
		return quoted()
	case cellTextOrNull:
		if text != "" {
			return quoted()
		}
	case cellMillis, cellMicros, cellNanos, cellDays:
		if t, ok := cellTime(text); ok {
			return strconv.AppendInt(nil, inUnit(t, kind), 10)
		}
	}
	if text == "" {
		return json.RawMessage("null")
	}
	if kind == cellGuess && strings.ContainsAny(text[:1], `{["`) || !json.Valid([]byte(text)) {
		return quoted()
	}
	return json.RawMessage(text)
}

func cellTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// inUnit is a time as Avro counts it.
func inUnit(t time.Time, kind cellKind) int64 {
	switch kind {
	case cellMillis:
		return t.UnixMilli()
	case cellMicros:
		return t.UnixMicro()
	case cellDays:
		days := t.Unix() / 86400
		if t.Unix()%86400 < 0 {
			days--
		}
		return days
	}
	return t.UnixNano()
}
