package protobuf

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// Changes lists all differences, those included that do no harm. It implements
// schema.Differ. Fields of messages that the file's first message does not reach are
// named by their message.
func (s *Schema) Changes(writer schema.Schema) []schema.Change {
	old, ok := writer.(*Schema)
	if !ok {
		return nil
	}
	columns := []map[protoreflect.FullName]string{columnsOf(s.file), columnsOf(old.file)}
	var list []schema.Change
	for _, d := range compare(old.file, s.file) {
		c := schema.Change{Incompatibility: schema.Incompatibility{Type: d.kind, Path: d.path}, Breaks: sentence(d.kind) != ""}
		if c.Breaks {
			c.Description = d.describe()
		} else if d.reader != d.writer {
			c.Info = orNone(d.reader) + " against " + orNone(d.writer)
		}
		words := strings.Split(strings.TrimPrefix(d.path, "#/"), "/")
		for i, file := range []protoreflect.FileDescriptor{s.file, old.file} {
			if field, ok := fieldOf(file, columns[i], words, maxImportDepth); ok {
				c.Field = field
				break
			}
		}
		list = append(list, c)
	}
	return list
}

// maxImportDepth bounds how far a message is looked for in what files import.
const maxImportDepth = 8

// fieldOf is the column path of what a difference's path names: messages by their
// names, then a field's number, perhaps behind the name of its oneof.
func fieldOf(file protoreflect.FileDescriptor, columns map[protoreflect.FullName]string, words []string, depth int) (string, bool) {
	m, rest := file.Messages().ByName(protoreflect.Name(words[0])), words[1:]
	if m == nil {
		for i := range file.Imports().Len() {
			if depth == 0 {
				break
			}
			if field, ok := fieldOf(file.Imports().Get(i).FileDescriptor, columns, words, depth-1); ok {
				return field, true
			}
		}
		return "", false
	}
	for len(rest) > 0 && m.Messages().ByName(protoreflect.Name(rest[0])) != nil {
		m, rest = m.Messages().ByName(protoreflect.Name(rest[0])), rest[1:]
	}
	prefix, reached := columns[m.FullName()]
	if !reached {
		prefix = localName(m)
	}
	if len(rest) == 0 {
		return prefix, true
	}
	number, err := strconv.Atoi(rest[len(rest)-1])
	f := m.Fields().ByNumber(protoreflect.FieldNumber(number))
	if err != nil || f == nil {
		return prefix, err != nil // a oneof or an enum, as a whole; or a field of the other version
	}
	return joinPath(prefix, string(f.Name())), true
}

func joinPath(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// columnsOf says under which column the fields of each message stand that the first
// message of a file reaches: the first place, breadth first.
func columnsOf(file protoreflect.FileDescriptor) map[protoreflect.FullName]string {
	at := make(map[protoreflect.FullName]string)
	if file.Messages().Len() == 0 {
		return at
	}
	root := file.Messages().Get(0)
	at[root.FullName()] = ""
	for queue := []protoreflect.MessageDescriptor{root}; len(queue) > 0; queue = queue[1:] {
		m := queue[0]
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			path := joinPath(at[m.FullName()], string(f.Name()))
			switch {
			case f.IsMap():
				f, path = f.MapValue(), path+".value"
			case f.IsList():
				path += ".element"
			}
			if f.Message() == nil {
				continue
			}
			if _, seen := at[f.Message().FullName()]; !seen {
				at[f.Message().FullName()] = path
				queue = append(queue, f.Message())
			}
		}
	}
	return at
}

// Manner says how payloads are read: all of them in our own pass. It implements
// schema.Describer.
func (s *Schema) Manner() schema.Manner {
	return schema.Manner{Limits: append(schema.CommonLimits(),
		fmt.Sprintf("JSON text of types inside themselves, of a payload: %d MiB", maxJSONBytes>>20))}
}
