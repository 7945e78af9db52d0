package main

import (
	"context"
	"io"
	"os"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
)

// descriptors compiles the .proto text of standard input and writes its
// FileDescriptorProto, so that Python needs no protoc.
func descriptors(ctx context.Context, p *peer) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{p.topic + ".proto": string(text)}),
	})}
	files, err := c.Compile(ctx, p.topic+".proto")
	if err != nil {
		return err
	}
	b, err := proto.Marshal(protodesc.ToFileDescriptorProto(files[0]))
	if err != nil {
		return err
	}
	return p.write(map[string][]byte{"file": b})
}
