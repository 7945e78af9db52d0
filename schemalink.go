package main

import (
	"encoding/json"
	"path"
	"regexp"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// link finds out which files of a directory refer to which: a Protobuf import or
// a JSON $ref by the file's name, an Avro type by its full name. What is not
// found is left to the parser, which knows types of its own.
func link(files map[string]*schemaFile) {
	records := map[string]string{} // Avro full name → file
	for name, f := range files {
		if f.typ == schema.Avro {
			if full, _ := avroName(f.text); full != "" {
				records[full] = name
			}
		}
	}
	for name, f := range files {
		f.refers = map[string]string{}
		for _, ref := range mentions(f) {
			to := path.Base(ref)
			if f.typ == schema.Avro {
				to = records[ref]
			}
			if other := files[to]; other != nil && to != name && other.typ == f.typ {
				f.refers[ref] = to
			}
		}
	}
}

// protoImport is an import line of a .proto file.
var protoImport = regexp.MustCompile(`(?m)^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"`)

// mentions lists the names that a text may refer to others by.
func mentions(f *schemaFile) (names []string) {
	if f.typ == schema.Protobuf {
		for _, m := range protoImport.FindAllStringSubmatch(f.text, -1) {
			names = append(names, m[1])
		}
		return names
	}
	var tree any
	if json.Unmarshal([]byte(f.text), &tree) != nil {
		return nil // the parser says what is wrong
	}
	if f.typ == schema.JSON {
		jsonRefs(tree, 0, &names)
		return names
	}
	_, space := avroName(f.text)
	avroTypes(tree, space, 0, &names)
	return names
}

// jsonRefs collects the files that $ref names, without their fragments.
func jsonRefs(v any, depth int, names *[]string) {
	if depth > schema.MaxDepth {
		return
	}
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			jsonRefs(one, depth+1, names)
		}
	case map[string]any:
		for key, one := range v {
			if text, ok := one.(string); ok && key == "$ref" {
				if file, _, _ := strings.Cut(text, "#"); file != "" {
					*names = append(*names, file)
				}
			}
			jsonRefs(one, depth+1, names)
		}
	}
}

// avroTypes collects the full names that stand where a type may stand.
func avroTypes(v any, space string, depth int, names *[]string) {
	if depth > schema.MaxDepth {
		return
	}
	switch v := v.(type) {
	case string:
		if !strings.Contains(v, ".") && space != "" {
			v = space + "." + v
		}
		*names = append(*names, v)
	case []any:
		for _, one := range v {
			avroTypes(one, space, depth+1, names)
		}
	case map[string]any:
		if own, ok := v["namespace"].(string); ok {
			space = own
		}
		for _, key := range []string{"type", "items", "values"} {
			if one, ok := v[key]; ok {
				avroTypes(one, space, depth+1, names)
			}
		}
		fields, _ := v["fields"].([]any)
		for _, f := range fields {
			if field, ok := f.(map[string]any); ok {
				avroTypes(field["type"], space, depth+1, names)
			}
		}
	}
}

// avroName is the full name of a text's record, enum or fixed, and its
// namespace.
func avroName(text string) (full, space string) {
	var root struct{ Name, Namespace string }
	if json.Unmarshal([]byte(text), &root) != nil || root.Name == "" {
		return "", ""
	}
	if i := strings.LastIndex(root.Name, "."); i >= 0 {
		return root.Name, root.Name[:i]
	}
	if root.Namespace == "" {
		return root.Name, ""
	}
	return root.Namespace + "." + root.Name, root.Namespace
}
