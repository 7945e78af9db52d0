package acl

import (
	"errors"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

// parse reads "allow User:a read topic literal orders *".
func parse(t *testing.T, line string) Binding {
	t.Helper()
	w := strings.Fields(line)
	b := Binding{Principal: w[1], Name: w[5], Host: w[6]}
	for _, err := range []error{
		b.Permission.UnmarshalText([]byte(w[0])), b.Operation.UnmarshalText([]byte(w[2])),
		b.Resource.UnmarshalText([]byte(w[3])), b.Pattern.UnmarshalText([]byte(w[4])),
	} {
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return b
}

func open(t *testing.T, cfg Config, lines ...string) *Rules {
	t.Helper()
	r, err := Open(t.Context(), memory.New(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var bs []Binding
	for _, l := range lines {
		bs = append(bs, parse(t, l))
	}
	if err := errors.Join(r.Create(t.Context(), bs)...); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []string
		ask   string // principal host operation resource name
		want  bool
	}{
		{"nothing", nil, "User:a h read topic t", false},
		{"super", nil, "User:root h read topic t", true},
		{"literal", []string{"allow User:a read topic literal t *"}, "User:a h read topic t", true},
		{"literal, other topic", []string{"allow User:a read topic literal t *"}, "User:a h read topic tt", false},
		{"literal, other operation", []string{"allow User:a read topic literal t *"}, "User:a h write topic t", false},
		{"literal, other principal", []string{"allow User:a read topic literal t *"}, "User:b h read topic t", false},
		{"literal, other kind", []string{"allow User:a read group literal t *"}, "User:a h read topic t", false},
		{"host", []string{"allow User:a read topic literal t h"}, "User:a h read topic t", true},
		{"other host", []string{"allow User:a read topic literal t h"}, "User:a i read topic t", false},
		{"prefix", []string{"allow User:a read topic prefixed or *"}, "User:a h read topic orders", true},
		{"prefix, whole", []string{"allow User:a read topic prefixed orders *"}, "User:a h read topic orders", true},
		{"prefix, longer", []string{"allow User:a read topic prefixed orders *"}, "User:a h read topic order", false},
		{"wildcard name", []string{"allow User:a read topic literal * *"}, "User:a h read topic t", true},
		{"a star is no prefix", []string{"allow User:a read topic prefixed * *"}, "User:a h read topic t", false},
		{"wildcard principal", []string{"allow User:* read topic literal t *"}, "User:a h read topic t", true},
		{"wildcard of another type", []string{"allow Group:* read topic literal t *"}, "User:a h read topic t", false},
		{"all", []string{"allow User:a all topic literal t *"}, "User:a h alter-configs topic t", true},
		{"read implies describe", []string{"allow User:a read topic literal t *"}, "User:a h describe topic t", true},
		{"write implies describe", []string{"allow User:a write topic literal t *"}, "User:a h describe topic t", true},
		{"delete implies describe", []string{"allow User:a delete topic literal t *"}, "User:a h describe topic t", true},
		{"alter implies describe", []string{"allow User:a alter topic literal t *"}, "User:a h describe topic t", true},
		{"create implies nothing", []string{"allow User:a create topic literal t *"}, "User:a h describe topic t", false},
		{"alter-configs implies describe-configs", []string{"allow User:a alter-configs topic literal t *"}, "User:a h describe-configs topic t", true},
		{"alter-configs does not imply describe", []string{"allow User:a alter-configs topic literal t *"}, "User:a h describe topic t", false},
		{"deny wins", []string{"allow User:a all topic literal t *", "deny User:a read topic literal * *"}, "User:a h read topic t", false},
		{"deny of a prefix wins", []string{"allow User:a read topic literal t1 *", "deny User:* read topic prefixed t *"}, "User:a h read topic t1", false},
		{"deny elsewhere", []string{"allow User:a read topic literal t *", "deny User:a read topic literal t i"}, "User:a h read topic t", true},
		{"denying read does not deny describe", []string{"allow User:a describe topic literal t *", "deny User:a read topic literal t *"}, "User:a h describe topic t", true},
		{"deny all", []string{"allow User:a describe topic literal t *", "deny User:a all topic literal t *"}, "User:a h describe topic t", false},
	} {
		r := open(t, Config{Super: []string{"User:root"}}, c.rules...)
		w := strings.Fields(c.ask)
		var op Operation
		var res Resource
		if err := errors.Join(op.UnmarshalText([]byte(w[2])), res.UnmarshalText([]byte(w[3]))); err != nil {
			t.Fatal(err)
		}
		if got := r.Allowed(w[0], w[1], op, res, w[4]); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestEveryoneIfNone(t *testing.T) {
	r := open(t, Config{EveryoneIfNone: true}, "allow User:b read topic literal t *")
	for name, want := range map[string]bool{"t": false, "u": true} {
		if got := r.Allowed("User:a", "h", Read, Topic, name); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestAllowedSomewhere(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []string
		want  bool
	}{
		{"nothing", nil, false},
		{"one", []string{"allow User:a write topic literal t *"}, true},
		{"one of another", []string{"allow User:b write topic literal t *"}, false},
		{"denied literally", []string{"allow User:a write topic literal t *", "deny User:a write topic literal t *"}, false},
		{"another denied", []string{"allow User:a write topic literal t *", "deny User:a write topic literal u *"}, true},
		{"denied by prefix", []string{"allow User:a write topic prefixed tt *", "deny User:a write topic prefixed t *"}, false},
		{"a part denied", []string{"allow User:a write topic prefixed t *", "deny User:a write topic prefixed tt *"}, true},
		{"everything denied", []string{"allow User:a write topic literal * *", "deny User:a all topic literal * *"}, false},
		{"all but a part", []string{"allow User:a write topic literal * *", "deny User:a write topic prefixed t *"}, true},
	} {
		if got := open(t, Config{}, c.rules...).AllowedSomewhere("User:a", "h", Write, Topic); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFilter(t *testing.T) {
	r := open(t, Config{},
		"allow User:a read topic literal foo *", "allow User:a read topic literal * *",
		"allow User:b write topic prefixed f h", "deny User:a read group literal foo *")
	name := func(s string) *string { return &s }
	for _, c := range []struct {
		what string
		f    Filter
		want int
	}{
		{"all", Filter{Resource: AnyResource, Pattern: AnyPattern, Operation: AnyOperation, Permission: AnyPermission}, 4},
		{"zero", Filter{}, 4},
		{"topics", Filter{Resource: Topic}, 3},
		{"literal name", Filter{Resource: Topic, Pattern: Literal, Name: name("foo")}, 1},
		{"prefix name", Filter{Pattern: Prefixed, Name: name("f")}, 1},
		{"what applies", Filter{Resource: Topic, Pattern: Match, Name: name("foo")}, 3},
		{"what applies to another", Filter{Resource: Topic, Pattern: Match, Name: name("bar")}, 1},
		{"any pattern of a name", Filter{Pattern: AnyPattern, Name: name("foo")}, 2},
		{"principal", Filter{Principal: name("User:a")}, 3},
		{"host", Filter{Host: name("h")}, 1},
		{"operation", Filter{Operation: Write}, 1},
		{"all is no wildcard", Filter{Operation: All}, 0},
		{"permission", Filter{Permission: Deny}, 1},
	} {
		if got := len(r.List(c.f)); got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, got, c.want)
		}
	}
}

func TestKept(t *testing.T) {
	e := memory.New()
	r, err := Open(t.Context(), e, Config{})
	if err != nil {
		t.Fatal(err)
	}
	one, two := parse(t, "allow User:a read topic literal t *"), parse(t, "deny User:a read subject prefixed t *")
	out := r.Create(t.Context(), []Binding{one, one, two, {}})
	if out[0] != nil || out[1] != nil || out[2] != nil || !errors.Is(out[3], ErrInvalid) {
		t.Fatalf("create: %v", out)
	}
	again, err := Open(t.Context(), e, Config{})
	if err != nil || len(again.List(Filter{})) != 2 {
		t.Fatalf("after a restart: %v %v", again.List(Filter{}), err)
	}
	gone, err := again.Delete(t.Context(), []Filter{{Permission: Allow}, {Resource: Topic}})
	if err != nil || len(gone[0]) != 1 || len(gone[1]) != 1 || len(again.List(Filter{})) != 1 {
		t.Errorf("delete: %v %v", gone, err)
	}
	// The first one has not seen that: it is refused, looks, and agrees.
	if _, err := r.Delete(t.Context(), []Filter{{Resource: Topic}}); err == nil || len(r.List(Filter{})) != 1 {
		t.Errorf("delete of what is gone: %v, %d left", err, len(r.List(Filter{})))
	}
	for _, bad := range []string{
		"allow a read topic literal t *", "any User:a read topic literal t *", "allow User:a any topic literal t *",
		"allow User:a read any literal t *", "allow User:a read topic match t *", "allow User:a read cluster literal t *",
	} {
		if err := parse(t, bad).Check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
