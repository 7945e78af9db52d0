package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// protoFiles are .proto texts by name.
type protoFiles struct {
	Root  string            `json:"root"`
	Files map[string]string `json:"files"`
}

// descriptors compiles the .proto text of standard input, or an object of such
// texts, and writes the root's FileDescriptorProto and a FileDescriptorSet of
// all, imports first, so that nobody else needs a protoc.
func descriptors(ctx context.Context, p *peer) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	in := protoFiles{Root: p.topic + ".proto", Files: map[string]string{p.topic + ".proto": string(text)}}
	if bytes.HasPrefix(text, []byte("{")) {
		in = protoFiles{}
		if err := json.Unmarshal(text, &in); err != nil {
			return err
		}
	}
	file, err := in.compile(ctx)
	if err != nil {
		return err
	}
	root, err := proto.Marshal(protodesc.ToFileDescriptorProto(file))
	if err != nil {
		return err
	}
	set := &descriptorpb.FileDescriptorSet{}
	collect(file, set, map[string]bool{})
	all, err := proto.Marshal(set)
	if err != nil {
		return err
	}
	return p.write(map[string][]byte{"file": root, "files": all})
}

// compile returns the root with its imports.
func (f protoFiles) compile(ctx context.Context) (linker.File, error) {
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(f.Files),
	})}
	files, err := c.Compile(ctx, f.Root)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", f.Root, err)
	}
	return files[0], nil
}

// collect appends a file behind its imports.
func collect(f protoreflect.FileDescriptor, set *descriptorpb.FileDescriptorSet, seen map[string]bool) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		collect(f.Imports().Get(i), set, seen)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
}
