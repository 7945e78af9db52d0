package registry

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

// TestLevels registers int, then long under NONE, and asks of other types
// whether they would be taken: int promotes to long and double, not back.
func TestLevels(t *testing.T) {
	r := open(t, memory.New())
	if err := r.SetSettings(t.Context(), "s", levelOf(None)); err != nil {
		t.Fatal(err)
	}
	register(t, r, "s", avro(`"int"`))
	register(t, r, "s", avro(`"double"`))
	register(t, r, "s", avro(`"long"`))
	tests := []struct {
		level    Level
		text     string
		conflict int // version, 0 if it is taken
	}{
		{None, `"string"`, 0},
		{Backward, `"long"`, 0},
		{Backward, `"double"`, 0},
		{Backward, `"int"`, 3},
		{BackwardTransitive, `"double"`, 0},
		{BackwardTransitive, `"float"`, 2},
		{BackwardTransitive, `"int"`, 3},
		{Forward, `"int"`, 0},
		{Forward, `"double"`, 3},
		{ForwardTransitive, `"long"`, 1},
		{ForwardTransitive, `"int"`, 0},
		{Full, `"long"`, 0},
		{Full, `"int"`, 3},
		{Full, `"double"`, 3},
		{FullTransitive, `"long"`, 2},
	}
	for _, tt := range tests {
		if err := r.SetSettings(t.Context(), "s", levelOf(tt.level)); err != nil {
			t.Fatal(err)
		}
		err := r.Compatible("s", avro(tt.text), 0)
		bad, ok := errors.AsType[*Incompatible](err)
		switch {
		case tt.conflict == 0 && err == nil:
		case !ok || bad.OldVersion != tt.conflict || bad.Level != tt.level || bad.Subject != "s":
			t.Errorf("%s, %s: got %v, want a conflict with version %d", tt.level, tt.text, err, tt.conflict)
		}
	}
	// A deleted version is not compared with.
	if err := r.SetSettings(t.Context(), "s", levelOf(FullTransitive)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2} {
		if _, err := r.DeleteVersion(t.Context(), "s", n, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Compatible("s", avro(`"long"`), 0); err != nil {
		t.Errorf("with the rest deleted: %v", err)
	}
	wants(t, "a deleted version", r.Compatible("s", avro(`"long"`), 1), ErrVersionNotFound)
}

// TestMessages checks the three spellings and the cut of a long old schema, on
// the boundary of a character.
func TestMessages(t *testing.T) {
	d := []schema.Incompatibility{{Type: "T", Description: "D", Info: "I"}}
	for language, want := range map[schema.Type]string{
		schema.Avro:     `{errorType:'T', description:'D', additionalInfo:'I'}`,
		schema.Protobuf: `{errorType:"T", description:"D"}`,
		schema.JSON:     `{errorType:"T", description:"D'}`,
	} {
		e := &Incompatible{Differences: d, Type: language, OldVersion: 2, OldSchema: "{}", Level: Full}
		got := strings.Join(e.Messages(), "\n")
		if want += "\n{oldSchemaVersion: 2}\n{oldSchema: '{}'}\n{validateFields: 'false', compatibility: 'FULL'}"; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", language, got, want)
		}
	}
	e := &Incompatible{Differences: d, OldVersion: 1, OldSchema: strings.Repeat("x", maxOldSchema-1) + "üü"}
	if got, want := e.Messages()[2], "{oldSchema: <truncated> '"+strings.Repeat("x", maxOldSchema-1)+"...'}"; got != want {
		t.Errorf("a long schema ends in %q", got[len(got)-20:])
	}
}

// TestCompareKeepsLittle: schemas that new versions are compared with stay parsed up
// to a bound; beyond it comparisons go on as before.
func TestCompareKeepsLittle(t *testing.T) {
	r := open(t, memory.New())
	kept := func() (n int) {
		for _, v := range subjectIn(r, "s").versions {
			if v.entry.parsed.Load() != nil {
				n++
			}
		}
		return n
	}
	fields := column("a", `"int"`)
	for i := range 4 {
		register(t, r, "s", order(fields))
		fields += fmt.Sprintf(`,{"name":"f%d","type":"int","default":0}`, i)
	}
	before := kept()
	if before == 0 {
		t.Error("what is compared is parsed each time")
	}
	r.world.Load().compared.Store(maxCompared)
	for i := range 4 {
		register(t, r, "s", order(fields))
		fields += fmt.Sprintf(`,{"name":"g%d","type":"int","default":0}`, i)
	}
	if _, err := r.Register(t.Context(), "s", order(column("a", `"string"`))); err == nil {
		t.Error("an incompatible schema was taken")
	}
	if got := kept(); got != before {
		t.Errorf("%d schemas are parsed, of %d before the bound", got, before)
	}
}

func subjectIn(r *Registry, name string) *subject {
	v, within := r.world.Load().at(name)
	return v.subjects.get(within)
}
