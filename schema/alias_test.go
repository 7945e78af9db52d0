package schema_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// columnsOf reads "name:type:aliases,…"; a type is int, long, string, or a
// struct, list or map of one in parentheses.
func columnsOf(text string) *arrow.Schema { return arrow.NewSchema(fieldsOf(text), nil) }

func fieldsOf(text string) (out []arrow.Field) {
	depth, from := 0, 0
	for i, c := range text + " " {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ' ' && depth == 0 && i > from:
			out = append(out, fieldOf(text[from:i]))
			from = i + 1
		}
	}
	return out
}

func fieldOf(text string) arrow.Field {
	name, rest, _ := strings.Cut(text, ":")
	f := arrow.Field{Name: name, Nullable: true}
	end := strings.LastIndexByte(rest, ')') + 1
	at := strings.IndexByte(rest[end:], ':')
	aliases := ""
	if at >= 0 {
		rest, aliases = rest[:end+at], rest[end+at+1:]
	}
	f.Type = typeOf(rest)
	return schema.WithAliases(f, strings.Split(aliases, "+"))
}

func typeOf(text string) arrow.DataType {
	word, inner, _ := strings.Cut(strings.TrimSuffix(text, ")"), "(")
	switch word {
	case "int":
		return arrow.PrimitiveTypes.Int32
	case "long":
		return arrow.PrimitiveTypes.Int64
	case "struct":
		return arrow.StructOf(fieldsOf(inner)...)
	case "list":
		return arrow.ListOfField(arrow.Field{Name: "element", Type: typeOf(inner), Nullable: true})
	case "map":
		return arrow.MapOfFields(arrow.Field{Name: "key", Type: arrow.BinaryTypes.String}, arrow.Field{Name: "value", Type: typeOf(inner), Nullable: true})
	}
	return arrow.BinaryTypes.String
}

func TestKeep(t *testing.T) {
	for _, c := range []struct {
		name, have, want string
		known            []string
		kept             string
	}{
		{"no alias", "a:int", "b:int", nil, "b:int"},
		{"a renamed field", "a:int z:int", "z:int b:int:a", nil, "z:int a:int"},
		{"a renamed field of a wider type", "a:int", "b:long:a", nil, "a:long"},
		{"a renamed field of another type", "a:int", "b:string:a", nil, "b:string"},
		{"its own column goes before", "a:int b:int", "b:int:a", nil, "b:int"},
		{"the alias is another field's name", "a:int", "a:int b:int:a", nil, "a:int b:int"},
		{"two fields with one alias", "a:int", "b:int:a c:int:a", nil, "a:int c:int"},
		{"several aliases", "b:int", "c:int:a+b", nil, "b:int"},
		{"a later version's alias", "b:int", "a:int", []string{"b:int:a"}, "b:int"},
		{"renamed twice", "a:int", "c:int:b", []string{"c:int:b", "b:int:a"}, "a:int"},
		{"renamed twice, the other way", "c:int", "a:int", []string{"c:int:b", "b:int:a"}, "c:int"},
		{"in a struct", "s:struct(a:int)", "s:struct(b:int:a)", nil, "s:struct(a:int)"},
		{"in a renamed struct", "s:struct(a:int x:int)", "t:struct(b:int:a x:int):s", nil, "s:struct(a:int x:int)"},
		{"in a struct, by a later version", "t:struct(b:int)", "s:struct(a:int)", []string{"t:struct(b:int:a):s"}, "t:struct(b:int)"},
		{"in a list", "l:list(struct(a:int))", "l:list(struct(b:int:a))", nil, "l:list(struct(a:int))"},
		{"in a map", "m:map(struct(a:int))", "m:map(struct(b:int:a))", nil, "m:map(struct(a:int))"},
		{"in a list, by a later version", "l:list(struct(b:int))", "l:list(struct(a:int))", []string{"l:list(struct(b:int:a))"}, "l:list(struct(b:int))"},
		{"another case", "name:string", "Name:string:name", nil, "name:string"},
		{"a type of another shape", "s:int", "s:struct(b:int:a)", nil, "s:struct(b:int)"},
		{"exchanged names", "a:int b:int", "a:int:b b:int:a", nil, "a:int b:int"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var known []*arrow.Schema
			for _, k := range c.known {
				known = append(known, columnsOf(k))
			}
			got := schema.Keep(columnsOf(c.have), columnsOf(c.want), known...)
			if want := columnsOf(c.kept); got.String() != want.String() {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestAbsorbKeeps(t *testing.T) {
	next, effects := schema.Absorb(columnsOf("s:struct(a:int) old:int"), columnsOf("new:long:old s:struct(b:int:a n:int)"))
	if want := columnsOf("s:struct(a:int n:int) old:long"); next.String() != want.String() {
		t.Errorf("got  %s\nwant %s", next, want)
	}
	var got []string
	for _, e := range effects {
		got = append(got, string(e.Kind)+" "+e.Column+"="+e.Field+": "+e.Text)
	}
	want := []string{
		"kept old=new: column old stays for field new, which has it as an alias",
		"kept s.a=s.b: column s.a stays for field b, which has it as an alias",
		"added s.n=: adds column s.n int null",
		"widened old=: widens column old from int to long",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
