package auth

import (
	"slices"
	"strings"
	"testing"
)

// FuzzMapping reads any rules and maps any name by them: what no rule rewrites is
// taken as it is or refused, always in the same way.
func FuzzMapping(f *testing.F) {
	for _, rules := range []string{
		"", "DEFAULT", "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/", "RULE:^CN=(.*?),OU=(.*?),O=(.*?)$/$1@$2/L, DEFAULT",
		`RULE:^CN=(.*?)\/x$/$1\/y/U,RULE:a//`, "RULE:(/b/", "RULE:.*/$99$0${1}$/", "DEFAULT,,",
	} {
		f.Add(rules, "CN=a,OU=ServiceUsers,O=b")
	}
	f.Fuzz(func(t *testing.T, rules, name string) {
		if len(rules) > 1<<10 || len(name) > 1<<10 {
			return // of an operator, and of a certificate's subject
		}
		m, err := ParseMapping(rules)
		if err != nil {
			return
		}
		who, err := m.Principal(name)
		again, err2 := m.Principal(name)
		if who != again || (err == nil) != (err2 == nil) {
			t.Fatalf("%q makes %v and %v of %q", rules, who, again, name)
		}
		if err == nil && who.Type != User("").Type {
			t.Fatalf("%q makes %v of %q", rules, who, name)
		}
		if plain := strings.Trim(rules, " \t") == "DEFAULT" || rules == ""; plain && who != User(name) {
			t.Fatalf("%q makes %v of %q", rules, who, name)
		}
	})
}

// FuzzFile reads any users file: whoever is super is a user, everybody has a name
// and both credentials.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"", "admin: {password: root, super: true}\nalice: {password: a}\n", "a: {password: }", "- a", "a: b",
		"a: &x {password: y}\nb: *x\n", "a: {password: 1}\na: {password: 2}", "? {a: b}\n: {password: x}", "a: {<<: {password: x}}", "---\na: {password: x}\n---\nb: {password: y}\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<10 {
			return // each user is salted, which takes milliseconds
		}
		file, err := parseFile(b)
		if err != nil {
			return
		}
		for name, u := range file.users() {
			if name == "" || len(name) > MaxNameBytes || len(u.Credentials) != 2 {
				t.Fatalf("%q has a user %q with %d credentials", b, name, len(u.Credentials))
			}
		}
		if !slices.IsSorted(file.Super()) {
			t.Fatalf("%q: super users %q", b, file.Super())
		}
		for _, s := range file.Super() {
			if _, there := file.users()[strings.TrimPrefix(s, "User:")]; !there {
				t.Fatalf("%q: %s is super and no user", b, s)
			}
		}
	})
}
