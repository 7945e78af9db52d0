package main

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Sizes that no file or function may pass. They are a ratchet: lower them when
// the tree allows it, never raise them.
const (
	maxFileLines     = 700
	maxFunctionLines = 100
)

var (
	topLevel     = []string{"broker", "schema", "sink", "registry", "tables", "examples"}
	machinePaths = regexp.MustCompile(`(^|[^A-Za-z0-9_.])/(home|root|Users|work)/[a-z]`)
	unfinished   = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)
)

// TestTidy holds every Go file to the sizes and habits of STYLE.md.
func TestTidy(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "tarn-data") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".pb.go") {
			files++
			checkFile(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("looked at %d files only", files)
	}
	t.Logf("looked at %d Go files", files)
}

func checkFile(t *testing.T, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		lines++
		if path == "tidy_test.go" {
			continue
		}
		if machinePaths.MatchString(s.Text()) {
			t.Errorf("%s:%d names a path of some machine", path, lines)
		}
		if unfinished.MatchString(s.Text()) {
			t.Errorf("%s:%d is unfinished: do it, or say in DECISIONS.md why not", path, lines)
		}
	}
	if lines > maxFileLines {
		t.Errorf("%s has %d lines, more than %d: split it by what it does", path, lines, maxFileLines)
	}
	checkSyntax(t, path)
}

// checkSyntax parses one file and checks functions, docstrings and sleeps.
func checkSyntax(t *testing.T, path string) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
	if err != nil {
		t.Error(err)
		return
	}
	isTest := strings.HasSuffix(path, "_test.go")
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
			t.Errorf("%s: %s has %d lines, more than %d", set.Position(fn.Pos()), fn.Name.Name, n, maxFunctionLines)
		}
		if fn.Name.Name == "init" && fn.Recv == nil {
			t.Errorf("%s: no init functions: start things from main or Run", set.Position(fn.Pos()))
		}
		if !isTest && fn.Doc == nil && fn.Name.IsExported() && receiverExported(fn) && file.Name.Name != "main" {
			t.Errorf("%s: exported %s has no docstring", set.Position(fn.Pos()), fn.Name.Name)
		}
	}
	if isTest && !fakesTime(t, filepath.Dir(path)) {
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s: tests do not sleep: wait on a channel or use testing/synctest", set.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

// fakesTime reports whether the tests of a folder run in testing/synctest's
// bubbles, where sleeping takes no time and is how to wait.
func fakesTime(t *testing.T, dir string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), `"testing/synctest"`) {
			return true
		}
	}
	return false
}

// receiverExported reports whether fn is a function or a method of an exported
// type: methods of unexported types explain themselves by their interface.
func receiverExported(fn *ast.FuncDecl) bool {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return true
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// TestTopLevel keeps the root to the folders of the design.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || strings.HasPrefix(name, ".") || name == "tarn-data" {
			continue
		}
		ok := false
		for _, want := range topLevel {
			ok = ok || name == want
		}
		if !ok {
			t.Errorf("top-level folder %q: the design has %v only", name, topLevel)
		}
	}
}
