package protobuf

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// Extensions are fields that another place declares, in this file or in one that
// it imports. They are checked as the message's own fields are. They have no
// columns and are not in JSON text: whoever extends a message may import it, and
// the columns of a message follow from its declaration alone.

// findExtensions collects what a file and its imports declare, each list by
// number, so that plans do not depend on the order of imports.
func (p *planner) findExtensions(file protoreflect.FileDescriptor, seen map[string]bool) {
	if seen[file.Path()] {
		return
	}
	seen[file.Path()] = true
	p.addExtensions(file.Extensions())
	p.inMessages(file.Messages())
	for i := range file.Imports().Len() {
		p.findExtensions(file.Imports().Get(i).FileDescriptor, seen)
	}
}

func (p *planner) inMessages(list protoreflect.MessageDescriptors) {
	for i := range list.Len() {
		p.addExtensions(list.Get(i).Extensions())
		p.inMessages(list.Get(i).Messages())
	}
}

// addExtensions keeps those of a list. Of two with one number, which a linker
// refuses where it sees both, the first one counts.
func (p *planner) addExtensions(list protoreflect.ExtensionDescriptors) {
	for i := range list.Len() {
		fd := list.Get(i)
		name := fd.ContainingMessage().FullName()
		at, taken := slices.BinarySearchFunc(p.extensions[name], fd, func(a, b protoreflect.ExtensionDescriptor) int {
			return cmp.Compare(a.Number(), b.Number())
		})
		if !taken {
			p.extensions[name] = slices.Insert(p.extensions[name], at, fd)
		}
	}
}

// checkExtensions judges the extensions of a scanned message: no column looks at
// them.
func (w *walker) checkExtensions(m *message, base, depth int) *schema.Invalid {
	for i := range m.extended {
		f := &m.extended[i]
		s := w.slots[base+f.slot]
		if s.n == 0 || f.msg == nil && !f.repeated {
			continue
		}
		if err := w.checkExtension(f, s, depth); err != nil {
			return err.In(f.name)
		}
	}
	return nil
}

func (w *walker) checkExtension(f *field, s slot, depth int) *schema.Invalid {
	if !f.repeated {
		return w.checkWhole(f, s, depth)
	}
	n := 0
	for i := s.head; i != 0; i = w.items[i-1].next {
		it := w.items[i-1]
		start, end := unspan(it.bits)
		var err *schema.Invalid
		switch {
		case it.packed:
			if err = w.checkPacked(f, start, end); err == nil {
				n += countPacked(w.buf[:end], start, f)
				continue
			}
			n += countPacked(w.buf[:end], start, f)
		case f.msg != nil:
			err = w.checkNested(f, start, end, depth, false)
		}
		if err != nil {
			return err.At(n)
		}
		n++
	}
	return nil
}
