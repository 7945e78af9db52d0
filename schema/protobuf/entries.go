package protobuf

import (
	"slices"
	"strings"

	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A map field is, in a descriptor, a repeated field of a nested message that
// has the option map_entry. Two troubles come from that. Confluent's Java client
// registers texts in which these messages are written out, which no Protobuf
// compiler accepts; we do. And the entries count in message indexes, so that
// a printed text must have its map fields and nested messages in an order that
// gives each nested message its place again. The same goes for groups.

const mapEntryOption = "map_entry"

// parseWithEntries parses a text that may have map entries written out. The
// positions of later errors are lost.
func parseWithEntries(name, text string) (*descriptorpb.FileDescriptorProto, error) {
	handler := reporter.NewHandler(nil)
	tree, err := parser.Parse(name, strings.NewReader(text), handler)
	if err != nil {
		_, refused := refusal(err)
		return nil, refused
	}
	result, err := parser.ResultFromAST(tree, false, handler)
	if err != nil {
		_, refused := refusal(err)
		return nil, refused
	}
	fdp := result.FileDescriptorProto()
	markEntries(fdp.MessageType)
	return fdp, nil
}

// markEntries turns the option as it was written into the option proper.
func markEntries(list []*descriptorpb.DescriptorProto) {
	for _, m := range list {
		markEntries(m.NestedType)
		written := m.GetOptions().GetUninterpretedOption()
		at := slices.IndexFunc(written, func(o *descriptorpb.UninterpretedOption) bool {
			return len(o.Name) == 1 && o.Name[0].GetNamePart() == mapEntryOption && !o.Name[0].GetIsExtension() && o.GetIdentifierValue() == "true"
		})
		if at >= 0 {
			m.Options.UninterpretedOption = slices.Delete(written, at, at+1)
			m.Options.MapEntry = proto.Bool(true)
		}
	}
}

// Numbers of fields in descriptor.proto, of which source paths are made.
const (
	pathFileMessages    = 4
	pathMessageFields   = 2
	pathMessageMessages = 3
)

// placeMessages adds positions to a descriptor that has none, by which the
// printer puts each nested message after as many map fields and groups as it
// came after in the descriptor.
func placeMessages(fdp *descriptorpb.FileDescriptorProto) {
	if len(fdp.GetSourceCodeInfo().GetLocation()) > 0 {
		return // positions and comments of the original text
	}
	var p placer
	for i, m := range fdp.MessageType {
		p.message(m, []int32{pathFileMessages, int32(i)})
	}
	if len(p.found) > 0 {
		fdp.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: p.found}
	}
}

type placer struct {
	found []*descriptorpb.SourceCodeInfo_Location
}

func (p *placer) message(m *descriptorpb.DescriptorProto, path []int32) {
	carriers := 0
	var waiting [][]int // by how many carried messages stand before them
	for i, n := range m.NestedType {
		if carried(m, n) {
			carriers++
			continue
		}
		for len(waiting) <= carriers {
			waiting = append(waiting, nil)
		}
		waiting[carriers] = append(waiting[carriers], i)
		p.message(n, append(slices.Clone(path), pathMessageMessages, int32(i)))
	}
	if carriers == 0 || carriers == len(m.NestedType) {
		return
	}
	passed := 0
	place := func(count int) {
		if count < len(waiting) {
			for _, i := range waiting[count] {
				p.at(path, pathMessageMessages, i)
			}
		}
	}
	for i, f := range m.Field {
		if slices.ContainsFunc(m.NestedType, func(n *descriptorpb.DescriptorProto) bool { return carries(f, n) && carried(m, n) }) {
			place(passed)
			passed++
		}
		p.at(path, pathMessageFields, i)
	}
	for ; passed < len(waiting); passed++ {
		place(passed)
	}
}

// at gives the next position to an element.
func (p *placer) at(path []int32, kind int32, i int) {
	line := int32(len(p.found))
	p.found = append(p.found, &descriptorpb.SourceCodeInfo_Location{
		Path: append(slices.Clone(path), kind, int32(i)), Span: []int32{line, 0, 1},
	})
}

// carried says whether n, nested in m, is not written by itself but with a
// field: a map entry, or a group.
func carried(m, n *descriptorpb.DescriptorProto) bool {
	return n.GetOptions().GetMapEntry() || slices.ContainsFunc(m.Field, func(f *descriptorpb.FieldDescriptorProto) bool {
		return f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_GROUP && carries(f, n)
	})
}

// carries says whether the type of f is the nested message n.
func carries(f *descriptorpb.FieldDescriptorProto, n *descriptorpb.DescriptorProto) bool {
	return strings.HasSuffix(f.GetTypeName(), "."+n.GetName())
}
