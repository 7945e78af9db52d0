package fake

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/protobuf"
)

func ofProtobuf(src schema.Source, message string) (func(*Generator) error, error) {
	parsed, err := protobuf.Parse(src)
	if err != nil {
		return nil, err
	}
	s, ok := parsed.(*protobuf.Schema)
	if !ok {
		return nil, fmt.Errorf("a Protobuf schema of type %T", parsed)
	}
	var index []int
	if message != "" {
		if index, ok = s.Index(message); !ok {
			return nil, fmt.Errorf("the schema has no message %s", message)
		}
	}
	md, err := s.Message(index)
	if err != nil {
		return nil, err
	}
	return func(g *Generator) error { return g.message(md, place{record: string(md.Name())}) }, nil
}

// message writes a message as protojson does.
func (g *Generator) message(md protoreflect.MessageDescriptor, p place) error {
	if p.depth > schema.MaxDepth {
		return fmt.Errorf("%s holds itself without end", md.FullName())
	}
	if g.wellKnown(md, p) {
		return nil
	}
	g.raw("{")
	first := true
	chosen := g.chosen(md)
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if !g.wanted(fd, chosen, p) {
			continue
		}
		g.sep(&first)
		g.name(fd.JSONName())
		if err := g.field(fd, p.below(string(md.Name()), string(fd.Name()))); err != nil {
			return err
		}
	}
	g.raw("}")
	return nil
}

// chosen is one field of each oneof.
func (g *Generator) chosen(md protoreflect.MessageDescriptor) map[protoreflect.FieldNumber]bool {
	out := map[protoreflect.FieldNumber]bool{}
	for i := range md.Oneofs().Len() {
		if o := md.Oneofs().Get(i); !o.IsSynthetic() {
			out[o.Fields().Get(g.rand.IntN(o.Fields().Len())).Number()] = true
		}
	}
	return out
}

// wanted reports whether a field is to be there.
func (g *Generator) wanted(fd protoreflect.FieldDescriptor, chosen map[protoreflect.FieldNumber]bool, p place) bool {
	message := fd.Message() != nil && !fd.IsMap()
	if message && fd.Message().FullName() == "google.protobuf.Any" {
		return false // what is in it has a name that only its reader knows
	}
	switch o := fd.ContainingOneof(); {
	case fd.Cardinality() == protoreflect.Required:
		return true
	case message && p.depth >= deep:
		return false
	case o != nil && !o.IsSynthetic():
		return chosen[fd.Number()]
	case o != nil: // optional
		return g.chance(85)
	}
	return true
}

func (g *Generator) field(fd protoreflect.FieldDescriptor, p place) error {
	first := true
	switch {
	case fd.IsMap():
		g.raw("{")
		n := g.count(p.depth)
		if fd.MapKey().Kind() == protoreflect.BoolKind {
			n = min(n, 2)
		}
		for i := range n {
			g.sep(&first)
			g.mapKey(fd.MapKey(), i)
			if err := g.one(fd.MapValue(), p); err != nil {
				return err
			}
		}
		g.raw("}")
	case fd.IsList():
		g.raw("[")
		for range g.count(p.depth) {
			if !g.fits(0) {
				break
			}
			g.sep(&first)
			if err := g.one(fd, p); err != nil {
				return err
			}
		}
		g.raw("]")
	default:
		return g.one(fd, p)
	}
	return nil
}

// mapKey writes the i-th key of a map, each once.
func (g *Generator) mapKey(fd protoreflect.FieldDescriptor, i int) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		g.name(plainWords()[i])
	case protoreflect.BoolKind:
		g.name(strconv.FormatBool(i%2 == 0))
	default:
		g.name(strconv.Itoa(i + 1))
	}
}

// one writes a single value. Numbers of 64 bits are texts in protojson.
func (g *Generator) one(fd protoreflect.FieldDescriptor, p place) error {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return g.message(fd.Message(), p)
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		i := g.rand.IntN(values.Len())
		if i == 0 && values.Len() > 1 {
			i = 1 + g.rand.IntN(values.Len()-1) // the first stands for none
		}
		g.string(string(values.Get(i).Name()))
	case protoreflect.BoolKind:
		g.bool(g.chance(50))
	case protoreflect.FloatKind:
		g.float(float64(float32(g.real(p, 2))))
	case protoreflect.DoubleKind:
		g.float(g.real(p, 2))
	case protoreflect.StringKind:
		g.string(g.text(p))
	case protoreflect.BytesKind:
		g.string(base64.StdEncoding.EncodeToString([]byte(pick(g, plainWords()))))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind,
		protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		g.string(strconv.FormatInt(g.integer(p, 0, math.MaxInt64), 10))
	default:
		g.int(g.integer(p, 0, math.MaxInt32))
	}
	return nil
}

// wellKnown writes messages that have a JSON form of their own; false: it has none.
func (g *Generator) wellKnown(md protoreflect.MessageDescriptor, p place) bool {
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		g.string(g.moment(p).Format("2006-01-02T15:04:05.000Z"))
	case "google.protobuf.Duration":
		g.string(fmt.Sprintf("%.3fs", g.rand.Float64()*10))
	case "google.protobuf.FieldMask":
		g.string("")
	case "google.protobuf.Empty", "google.protobuf.Struct":
		g.raw("{}")
	case "google.protobuf.Value":
		g.string(g.text(p))
	case "google.protobuf.ListValue":
		g.raw("[]")
	case "google.protobuf.BoolValue":
		g.bool(g.chance(50))
	case "google.protobuf.StringValue":
		g.string(g.text(p))
	case "google.protobuf.BytesValue":
		g.string("dGFybg==")
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue":
		g.float(math.Round(g.real(p, 0)))
	case "google.protobuf.Int64Value", "google.protobuf.UInt64Value":
		g.string(strconv.FormatInt(g.integer(p, 0, math.MaxInt64), 10))
	case "google.protobuf.Int32Value", "google.protobuf.UInt32Value":
		g.int(g.integer(p, 0, math.MaxInt32))
	case "google.type.Date":
		at := g.moment(p)
		fmt.Fprintf(writer{g}, `{"year":%d,"month":%d,"day":%d}`, at.Year(), int(at.Month()), at.Day())
	case "google.type.TimeOfDay":
		at := g.moment(p).Truncate(time.Second)
		fmt.Fprintf(writer{g}, `{"hours":%d,"minutes":%d,"seconds":%d}`, at.Hour(), at.Minute(), at.Second())
	case "confluent.type.Decimal":
		fmt.Fprintf(writer{g}, `{"value":%q,"precision":9,"scale":2}`, base64.StdEncoding.EncodeToString([]byte{byte(g.between(0, 99)), byte(g.between(0, 255))}))
	default:
		return false
	}
	return true
}

// writer writes to a generator's document, without an error.
type writer struct{ g *Generator }

// Write implements io.Writer.
func (w writer) Write(b []byte) (int, error) {
	w.g.out = append(w.g.out, b...)
	return len(b), nil
}
