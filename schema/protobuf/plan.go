package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxDense is the highest field number looked up by index; higher ones are rare
// and found by a map.
const maxDense = 1023

// maxNameBytes bounds the name of a field or enum constant. A payload of a few
// bytes can make a column repeat it thousands of times.
const maxNameBytes = 1024

// message is what decoding needs to know of a message type. Messages that
// contain themselves are cycles of these.
type message struct {
	name   string
	known  known
	fields []field  // in the order of the descriptor, then known extensions
	dense  []*field // by number
	sparse map[int]*field
	oneofs int // slots after those of the fields: one for each oneof

	// picky: sound bytes can be refused, for a required field or a range, here
	// or below. whole: that depends on the message as merged from all its parts.
	picky, whole bool

	extensions [][2]int // ranges of numbers for others to use, the end not in it
	extended   []field  // those of fields that are known extensions

	staged []*field // fields that check must look at last
	slots  int      // fields and oneofs
}

// field is one field of a message.
type field struct {
	name, json string
	num        int
	slot       int // its place in fields and in a scanned message
	kind       protoreflect.Kind
	wire       int // wire type of one value
	repeated   bool
	mapped     bool // repeated, and its messages are map entries
	packable   bool
	utf8       bool // strings must be UTF-8
	presence   bool // absent and zero are told apart
	extension  bool // declared elsewhere: checked, and in no column
	required   bool
	inEntry    bool     // key or value of a map entry
	oneof      int      // slot of its oneof, or 0
	enum       *enum    // of kind enum
	msg        *message // of kind message and group
	dec        params   // of kind message, confluent.type.Decimal
	plain      bool     // the last value is the value, whatever it is; text must be UTF-8
	special    bool     // check keeps its value: staged, or in a oneof with a staged member
}

// enum is the names of an enum's constants by number.
type enum struct {
	closed bool
	null   bool     // google.protobuf.NullValue
	dense  []string // empty: no such number
	sparse map[int32]string
}

// name gives a constant's name; with aliases the first one's.
func (e *enum) name(n int32) (string, bool) {
	if uint32(n) < uint32(len(e.dense)) {
		s := e.dense[n]
		return s, s != ""
	}
	s, ok := e.sparse[n]
	return s, ok
}

// field finds a field by number, or nil.
func (m *message) field(num int) *field {
	if uint(num) < uint(len(m.dense)) {
		return m.dense[num]
	}
	return m.sparse[num]
}

// extendable says whether a number is in one of the message's extension ranges.
func (m *message) extendable(num int) bool {
	for _, r := range m.extensions {
		if num >= r[0] && num < r[1] {
			return true
		}
	}
	return false
}

// planner makes each message's and enum's plan once.
type planner struct {
	messages   map[protoreflect.FullName]*message
	enums      map[protoreflect.FullName]*enum
	extensions map[protoreflect.FullName][]protoreflect.FieldDescriptor // by the message
}

// newPlan makes the plan of a message and of all it contains. Extensions of file
// and of what it imports are known.
func newPlan(md protoreflect.MessageDescriptor, file protoreflect.FileDescriptor) (*message, error) {
	p := &planner{
		messages:   make(map[protoreflect.FullName]*message),
		enums:      make(map[protoreflect.FullName]*enum),
		extensions: make(map[protoreflect.FullName][]protoreflect.FieldDescriptor),
	}
	p.findExtensions(file, make(map[string]bool))
	m, err := p.message(md)
	if err != nil {
		return nil, err
	}
	p.findWhole()
	return m, nil
}

func (p *planner) message(md protoreflect.MessageDescriptor) (*message, error) {
	if m, ok := p.messages[md.FullName()]; ok {
		return m, nil
	}
	m := &message{name: string(md.FullName()), known: knownOf(md)}
	for i := range md.ExtensionRanges().Len() {
		r := md.ExtensionRanges().Get(i)
		m.extensions = append(m.extensions, [2]int{int(r[0]), int(r[1])})
	}
	p.messages[md.FullName()] = m
	list := md.Fields()
	extensions := p.extensions[md.FullName()]
	own, all := list.Len(), list.Len()+len(extensions)
	m.fields = make([]field, all)
	oneofs := make(map[protoreflect.FullName]int)
	for i := range all {
		var fd protoreflect.FieldDescriptor
		if i < own {
			fd = list.Get(i)
		} else {
			fd = extensions[i-own]
		}
		if len(fd.Name()) > maxNameBytes || len(fd.JSONName()) > maxNameBytes {
			return nil, fmt.Errorf("message %s: field %d has a name of more than %d bytes", m.name, fd.Number(), maxNameBytes)
		}
		f := &m.fields[i]
		if err := p.field(f, fd); err != nil {
			return nil, err
		}
		f.slot = i
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
			if _, ok := oneofs[o.FullName()]; !ok {
				oneofs[o.FullName()] = all + len(oneofs)
			}
			f.oneof = oneofs[o.FullName()]
		}
		f.plain = !f.repeated && f.oneof == 0 && f.msg == nil && (f.enum == nil || !f.enum.closed)
		m.index(f)
	}
	m.extended, m.oneofs = m.fields[own:], len(oneofs)
	m.slots = len(m.fields) + m.oneofs
	return m, nil
}

func (m *message) index(f *field) {
	if f.num > maxDense {
		if m.sparse == nil {
			m.sparse = make(map[int]*field)
		}
		m.sparse[f.num] = f
		return
	}
	for len(m.dense) <= f.num {
		m.dense = append(m.dense, nil)
	}
	m.dense[f.num] = f
}

func (p *planner) field(f *field, fd protoreflect.FieldDescriptor) error {
	*f = field{
		name: string(fd.Name()), json: fd.JSONName(), num: int(fd.Number()),
		kind: fd.Kind(), wire: wireOf(fd.Kind()),
		repeated: fd.Cardinality() == protoreflect.Repeated, mapped: fd.IsMap(),
		required: fd.Cardinality() == protoreflect.Required,
		presence: fd.HasPresence(), utf8: verifiesUTF8(fd),
		inEntry: fd.ContainingMessage().IsMapEntry(), extension: fd.IsExtension(),
	}
	if f.extension {
		f.name = "[" + string(fd.FullName()) + "]" // as Protobuf's JSON and text have it
	}
	f.packable = f.repeated && f.wire != wireBytes && f.wire != wireGroup
	switch fd.Kind() {
	case protoreflect.EnumKind:
		e, err := p.enum(fd.Enum())
		if err != nil {
			return err
		}
		f.enum = e
	case protoreflect.MessageKind, protoreflect.GroupKind:
		m, err := p.message(fd.Message())
		if err != nil {
			return err
		}
		f.msg = m
		return f.planDecimal(fd)
	}
	return nil
}

// planDecimal reads precision and scale where the field, or the values of the
// map it is, are decimals.
func (f *field) planDecimal(fd protoreflect.FieldDescriptor) error {
	target := f
	if f.mapped {
		target = &f.msg.fields[1]
		if target.msg == nil {
			return nil
		}
	}
	if target.msg.known != knownDecimal {
		return nil
	}
	dec, err := decimalParams(fd)
	if err != nil {
		return fmt.Errorf("field %s: %w", fd.FullName(), err)
	}
	target.dec = dec
	return nil
}

func (p *planner) enum(ed protoreflect.EnumDescriptor) (*enum, error) {
	if e, ok := p.enums[ed.FullName()]; ok {
		return e, nil
	}
	e := &enum{closed: ed.IsClosed(), null: ed.FullName() == "google.protobuf.NullValue", sparse: make(map[int32]string)}
	p.enums[ed.FullName()] = e
	values := ed.Values()
	for i := values.Len() - 1; i >= 0; i-- { // backwards: the first alias stays
		v := values.Get(i)
		name, n := string(v.Name()), int32(v.Number())
		if len(name) > maxNameBytes {
			return nil, fmt.Errorf("enum %s: constant %d has a name of more than %d bytes", ed.FullName(), n, maxNameBytes)
		}
		if n < 0 || n > maxDense {
			e.sparse[n] = name
			continue
		}
		for len(e.dense) <= int(n) {
			e.dense = append(e.dense, "")
		}
		e.dense[n] = name
	}
	return e, nil
}

// findWhole sets message.picky and message.whole and then what check stages.
// Both begin at the messages that can be refused for more than their bytes and
// spread to those that hold them: picky through every field; whole only where
// several parts make one value, or where a later member of a oneof can undo it.
func (p *planner) findWhole() {
	var picky, whole []*message
	inMany, inOne := make(map[*message][]*message), make(map[*message][]*message)
	for _, m := range p.messages {
		strict := m.known.ranged()
		for i := range m.fields {
			f := &m.fields[i]
			strict = strict || f.required
			if f.msg == nil {
				continue
			}
			inMany[f.msg] = append(inMany[f.msg], m)
			if !f.repeated {
				inOne[f.msg] = append(inOne[f.msg], m)
			}
		}
		if strict {
			picky, whole = append(picky, m), append(whole, m)
		}
	}
	spread(picky, inMany, func(m *message) *bool { return &m.picky })
	for _, m := range p.messages {
		for i := range m.fields {
			if f := &m.fields[i]; f.oneof != 0 && f.msg != nil && f.msg.picky {
				whole = append(whole, m)
			}
		}
	}
	spread(whole, inOne, func(m *message) *bool { return &m.whole })
	for _, m := range p.messages {
		m.stage()
	}
}

// spread sets a mark on the messages of from and on all that hold them.
func spread(from []*message, holders map[*message][]*message, mark func(*message) *bool) {
	for len(from) > 0 {
		m := from[len(from)-1]
		from = from[:len(from)-1]
		if on := mark(m); !*on {
			*on = true
			from = append(from, holders[m]...)
		}
	}
}

// stage lists the fields that check can judge only at the message's end.
func (m *message) stage() {
	oneofs := make(map[int]bool)
	for i := range m.fields {
		f := &m.fields[i]
		f.special = f.required || f.msg != nil && !f.repeated && (f.msg.whole || f.oneof != 0 && f.msg.picky)
		if f.special {
			m.staged = append(m.staged, f)
			oneofs[f.oneof] = f.oneof != 0
		}
	}
	for i := range m.fields {
		f := &m.fields[i]
		if f.special || !oneofs[f.oneof] {
			continue
		}
		f.special = true // kept, so that the oneof knows which member came last
		if f.msg != nil {
			m.staged = append(m.staged, f)
		}
	}
}

// wireOf is the wire type of one value, protobuf.dev/programming-guides/encoding.
func wireOf(k protoreflect.Kind) int {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return wire32
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return wire64
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return wireBytes
	case protoreflect.GroupKind:
		return wireGroup
	}
	return wireVarint
}
