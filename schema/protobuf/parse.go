package protobuf

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tarn-io/tarn/schema"
)

// mainName is the file name of a schema that came as text; Confluent's clients
// give it the same one.
const mainName = "default"

// descriptorDepth bounds nesting while a base64 descriptor is unmarshalled:
// messages, and beside them the options inside the deepest one.
const descriptorDepth = schema.MaxDepth + 32

// Parse reads a Protobuf schema: a .proto text, or a base64 FileDescriptorProto
// as the Python, JavaScript and Go clients of Confluent register it. Imports are
// found among the references by path; google/protobuf, google/type and confluent
// files need no reference. An error is a *schema.ParseError.
func Parse(src schema.Source) (schema.Schema, error) {
	size := len(src.Text)
	for _, r := range src.References {
		size += len(r.Text)
	}
	if size > schema.MaxTextBytes {
		return nil, &schema.ParseError{Msg: fmt.Sprintf("the schema and its references have %d bytes, more than %d", size, schema.MaxTextBytes)}
	}
	r := resolver{}
	for _, ref := range src.References {
		if err := r.add(ref.Name, ref.Text); err != nil {
			return nil, inReference(ref.Name, err)
		}
	}
	if fdp := descriptorOf(src.Text); fdp != nil {
		return r.parseDescriptor(fdp, src.Text)
	}
	if err := r.add(mainName, src.Text); err != nil {
		return nil, err
	}
	files, err := r.compile(mainName)
	if err != nil {
		return nil, err
	}
	if r[mainName].fdp == nil {
		return newSchema(files[0], src.Text), nil
	}
	// Of what came without a syntax tree the compiler checks less.
	file, err := r.link(protodesc.ToFileDescriptorProto(files[0]))
	if err != nil {
		return nil, err
	}
	return newSchema(file, src.Text), nil
}

// resolver finds the files that imports name, by path.
type resolver map[string]file

// file is one of text and descriptor.
type file struct {
	text string
	fdp  *descriptorpb.FileDescriptorProto
}

func (r resolver) add(name, text string) error {
	fdp := descriptorOf(text)
	if fdp == nil {
		if err := checkBraces(text); err != nil {
			return err
		}
		if !strings.Contains(text, mapEntryOption) {
			r[name] = file{text: text}
			return nil
		}
		var err error
		if fdp, err = parseWithEntries(name, text); err != nil {
			return err
		}
	}
	fdp.Name = proto.String(name)
	r[name] = file{fdp: fdp}
	return checkNesting(fdp.MessageType, 1)
}

// errNoFile says that an import leads nowhere.
var errNoFile = errors.New("no reference has this name, and it is none of the files that need none")

// FindFileByPath looks among the references first, then among the files that
// need none. The standard imports come after both.
func (r resolver) FindFileByPath(path string) (protocompile.SearchResult, error) {
	if f, ok := r[path]; ok && f.fdp != nil {
		return protocompile.SearchResult{Proto: f.fdp}, nil
	} else if ok {
		return protocompile.SearchResult{Source: strings.NewReader(f.text)}, nil
	}
	if text := confluentFile(path); text != "" {
		return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
	}
	if fd := googleTypeFile(path); fd != nil {
		return protocompile.SearchResult{Desc: fd}, nil
	}
	return protocompile.SearchResult{}, errNoFile
}

// compile parses and links files, which may import one another. Parallelism
// would only help the caller that has nothing else to do.
func (r resolver) compile(names ...string) (linker.Files, error) {
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(r),
		MaxParallelism: 1,
	}
	files, err := c.Compile(context.Background(), names...)
	if err == nil {
		return files, nil
	}
	name, refused := refusal(err)
	if name != mainName && name != "" {
		return nil, inReference(name, refused)
	}
	return nil, refused
}

// reason is an error's text. The errors of protobuf's library have now one kind
// of space and now another, so that nobody relies on their words; but people
// search for them, and golden files hold ours.
func reason(err error) string { return strings.ReplaceAll(err.Error(), "\u00a0", " ") }

// refusal makes a ParseError of the compiler's error, and says which file it is
// about if that is known.
func refusal(err error) (name string, refused *schema.ParseError) {
	var at reporter.ErrorWithPos
	if !errors.As(err, &at) {
		return "", &schema.ParseError{Msg: reason(err)}
	}
	pos := at.GetPosition()
	return pos.Filename, &schema.ParseError{Line: pos.Line, Column: pos.Col, Msg: reason(at.Unwrap())}
}

func inReference(name string, err error) error {
	return &schema.ParseError{Msg: fmt.Sprintf("reference %q: %v", name, err)}
}

// parseDescriptor makes a schema of a descriptor. Its canonical form is the text
// printed from it; if that text would give messages other indexes, on which
// payloads rely, it is the descriptor as it came.
func (r resolver) parseDescriptor(fdp *descriptorpb.FileDescriptorProto, encoded string) (schema.Schema, error) {
	if err := checkNesting(fdp.MessageType, 1); err != nil {
		return nil, err
	}
	if fdp.GetName() == "" {
		fdp.Name = proto.String(mainName)
	}
	file, err := r.link(fdp)
	if err != nil {
		return nil, err
	}
	text, err := printFile(file)
	if err != nil {
		return nil, &schema.ParseError{Msg: reason(err)}
	}
	if err := r.add(mainName, text); err != nil {
		return nil, err
	}
	again, err := r.compile(mainName)
	if err != nil || !sameIndexes(file.Messages(), again[0].Messages()) {
		text = encoded
	}
	return newSchema(file, text), nil
}

// link makes protobuf-go's own descriptor of a file, which it checks.
func (r resolver) link(fdp *descriptorpb.FileDescriptorProto) (protoreflect.FileDescriptor, error) {
	deps, err := r.compile(slices.Sorted(maps.Keys(set(fdp.Dependency)))...)
	if err != nil {
		return nil, err
	}
	known := new(protoregistry.Files)
	for _, f := range deps {
		if err := register(known, f); err != nil {
			return nil, &schema.ParseError{Msg: reason(err)}
		}
	}
	file, err := protodesc.NewFile(fdp, known)
	if err != nil {
		return nil, &schema.ParseError{Msg: reason(err)}
	}
	return file, nil
}

// sameIndexes says whether each message, map entries aside, has the same place.
func sameIndexes(a, b protoreflect.MessageDescriptors) bool {
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		x, y := a.Get(i), b.Get(i)
		if x.IsMapEntry() && y.IsMapEntry() {
			continue
		}
		if x.FullName() != y.FullName() || !sameIndexes(x.Messages(), y.Messages()) {
			return false
		}
	}
	return true
}

func set(names []string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}

// register puts a file and its imports into known as they are.
func register(known *protoregistry.Files, f protoreflect.FileDescriptor) error {
	if _, err := known.FindFileByPath(f.Path()); err == nil {
		return nil
	}
	for i := range f.Imports().Len() {
		if err := register(known, f.Imports().Get(i).FileDescriptor); err != nil {
			return err
		}
	}
	return known.RegisterFile(f)
}

func newSchema(file protoreflect.FileDescriptor, canonical string) *Schema {
	s := &Schema{
		file: file, canonical: canonical,
		decoders: make(map[protoreflect.FullName]*decoder),
		plans:    make(map[protoreflect.FullName]*plan),
	}
	s.normalized = sync.OnceValues(func() (string, error) { return printNormalized(file) })
	s.serialized = sync.OnceValues(func() (string, error) { return encodeFile(file) })
	return s
}

// descriptorOf reads a base64 FileDescriptorProto, or returns nil: the text is
// then a .proto file. No text is both, since base64 has neither blanks, braces
// nor semicolons; a lone comment that looks like base64 holds no file.
func descriptorOf(text string) *descriptorpb.FileDescriptorProto {
	if text == "" || strings.HasPrefix(text, "//") || strings.ContainsAny(text, " {};\t") {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	fdp := new(descriptorpb.FileDescriptorProto)
	if err := (proto.UnmarshalOptions{RecursionLimit: descriptorDepth}).Unmarshal(b, fdp); err != nil {
		return nil
	}
	return fdp
}

// checkNesting refuses messages nested too deep for code that recurses.
func checkNesting(list []*descriptorpb.DescriptorProto, depth int) error {
	if depth > schema.MaxDepth && len(list) > 0 {
		return &schema.ParseError{Msg: fmt.Sprintf("messages nest deeper than %d levels", schema.MaxDepth)}
	}
	for _, m := range list {
		if err := checkNesting(m.NestedType, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// checkBraces refuses a text that nests too deep, before a parser that recurses
// sees it.
func checkBraces(text string) error {
	depth, line, start := 0, 1, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\n':
			line, start = line+1, i+1
		case '{', '[', '<':
			if depth++; depth > schema.MaxDepth {
				return &schema.ParseError{Line: line, Column: i - start + 1, Msg: fmt.Sprintf("nested deeper than %d levels", schema.MaxDepth)}
			}
		case '}', ']', '>':
			depth--
		case '"', '\'':
			i = skipString(text, i)
		case '/':
			if end := skipComment(text, i); end > i {
				if n := strings.Count(text[i:end], "\n"); n > 0 {
					line, start = line+n, i+strings.LastIndexByte(text[i:end], '\n')+1
				}
				i = end - 1
			}
		}
	}
	return nil
}

// skipString returns the position of the quote that ends the string at i, or of
// the last byte before the end of the line, where a string cannot go on.
func skipString(text string, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case '\n':
			return j - 1
		case text[i]:
			return j
		}
	}
	return len(text) - 1
}

// skipComment returns the position after the comment at i, or i if there is
// none.
func skipComment(text string, i int) int {
	end := func(mark string) int {
		if n := strings.Index(text[i+2:], mark); n >= 0 {
			return i + 2 + n
		}
		return len(text)
	}
	switch rest := text[i:]; {
	case strings.HasPrefix(rest, "//"):
		return end("\n")
	case strings.HasPrefix(rest, "/*"):
		return min(end("*/")+2, len(text))
	}
	return i
}
