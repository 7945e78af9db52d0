package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// Review is what changes from one version of a subject to another, or to a text
// that is not registered: field by field, with what each level says to it, and what
// becomes of the tables of the subject's topic.
type Review struct {
	Subject string      `json:"subject"`
	Type    schema.Type `json:"schema_type"`
	// From and To are versions. From is 0 if there is none yet, To if it is the text
	// that was asked about.
	From int `json:"from"`
	To   int `json:"to"`
	// Level and Policy are in force; Compatible is what they say.
	Level      Level  `json:"level"`
	Policy     Policy `json:"policy,omitempty"`
	Compatible bool   `json:"compatible"`
	// Reasons are all that speaks against it by what is in force.
	Reasons []string `json:"reasons,omitempty"`
	// Levels has the verdict of every level that was asked; the transitive ones are
	// asked about the newest 200 versions.
	Levels []LevelVerdict `json:"levels"`
	// Changes are by field, in the order in which they were found.
	Changes []FieldChange `json:"changes"`
	// Warnings are what people should know though no level refuses it.
	Warnings []string `json:"warnings,omitempty"`
	// Formless says why the new schema has no table form; "" if it has one.
	Formless string `json:"no_table_form,omitempty"`
}

// LevelVerdict is what a level says to a new schema.
type LevelVerdict struct {
	Level      Level `json:"level"`
	Compatible bool  `json:"compatible"`
	// Against is the version that it conflicts with.
	Against int `json:"against,omitempty"`
	// Reasons are all that speaks against it.
	Reasons []string `json:"reasons,omitempty"`
}

// FieldChange is what changes of one field.
type FieldChange struct {
	// Field is the path of columns; "" is the schema as a whole.
	Field string `json:"field"`
	// Kinds are the types of the differences, as Confluent's registry names them
	// where it does; each once.
	Kinds []string `json:"kinds"`
	// Details say more, where there is more to say.
	Details []string `json:"details,omitempty"`
	// Backward and Forward are the reasons why new readers cannot read old data, and
	// old readers not new data; none where they can.
	Backward []string `json:"backward,omitempty"`
	Forward  []string `json:"forward,omitempty"`
	// Table is what tables do.
	Table []schema.TableEffect `json:"table,omitempty"`
}

// maxReviewed bounds the versions that a review's transitive levels look at, the
// newest ones: a review asks all levels, and each may cost a second for a pair of
// large JSON schemas. The level in force is asked in full.
const maxReviewed = 200

// pairLevels are those that two versions alone can be asked about; allLevels those
// that a new schema is.
func pairLevels() []Level { return []Level{Backward, Forward, Full, Table} }

func allLevels() []Level {
	return []Level{Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive, Table}
}

// Diff reviews the change from one version of a subject to another; Latest is the
// newest. Refusals: *Refused of ErrVersionNotFound or ErrSubjectNotFound.
func (r *Registry) Diff(name string, from, to int) (Review, error) {
	v, within := r.world.Load().at(name)
	s := v.subjects.get(within)
	if !s.exists(false) {
		return Review{}, refuse(ErrSubjectNotFound, name)
	}
	pick := func(number int) (*version, error) {
		ver := s.find(number, false)
		if ver == nil {
			return nil, refuseVersion(ErrVersionNotFound, name, number)
		}
		if p := ver.load(v); p.err != nil {
			return nil, p.err
		}
		return ver, nil
	}
	old, err := pick(from)
	if err != nil {
		return Review{}, err
	}
	ver, err := pick(to)
	if err != nil {
		return Review{}, err
	}
	d := &draft{schema: ver.load(v).schema, item: ver.item}
	out := v.review(s.full(), s, d, []*version{old}, pairLevels())
	out.To = ver.Version
	return out, nil
}

// Examine reviews what a text would change if it became the subject's next version.
// Nothing is registered. Refusals: *schema.ParseError, *Refused.
func (r *Registry) Examine(name string, req Request) (Review, error) {
	v, within := r.world.Load().at(name)
	s := v.subjects.get(within)
	d := draft{request: req}
	if err := d.prepare(v, within, false); err != nil {
		return Review{}, err
	}
	d.fill(v.settingsOf(s), s)
	if s != nil {
		name = s.full()
	}
	return v.review(name, s, &d, s.alive(), allLevels()), nil
}

// review compares a schema with older versions, newest first; changes are those from
// the first of them.
func (v *view) review(name string, sub *subject, d *draft, older []*version, levels []Level) Review {
	set := v.settingsOf(sub)
	out := Review{Subject: name, Type: d.item.Type, Level: set.Level, Policy: set.Policy, Changes: []FieldChange{}}
	err := v.compare(name, sub, d, older)
	out.Compatible = err == nil
	if bad, ok := errors.AsType[*Incompatible](err); ok {
		for _, x := range bad.Differences {
			out.Reasons = append(out.Reasons, x.Description)
		}
	}
	for _, level := range levels {
		out.Levels = append(out.Levels, v.verdict(name, sub, d, older, level))
	}
	columns, err := columnsOf(d.schema)
	if err != nil {
		out.Formless = err.Error()
	}
	if len(older) == 0 {
		return out
	}
	last := older[0]
	out.From = last.Version
	g := gathered{at: map[string]int{}}
	if old := last.load(v); old.err == nil && last.item.Type == d.item.Type {
		g.differences(d.schema, old.schema)
	}
	if columns != nil {
		table, known := v.tableOf(sub.until(last.Version)), v.known(sub.until(last.Version))
		var before []schema.TableEffect // what the last version does anyway
		if now, err := v.columns(last); err == nil {
			_, before = schema.Absorb(table, now, known...)
		}
		g.effects(table, columns, known, before)
	}
	out.Changes = append(out.Changes, g.list...)
	return out
}

// verdict asks one level, under the policy in force.
func (v *view) verdict(name string, sub *subject, d *draft, older []*version, level Level) LevelVerdict {
	set := v.settingsOf(sub)
	set.Level = level
	older = grouped(older, set.Group, &d.item)
	bad := v.incompatible(name, set, d, older[:min(len(older), maxReviewed)])
	if level == Table {
		bad, _ = errors.AsType[*Incompatible](v.tableRefusal(name, sub, d, older))
	}
	out := LevelVerdict{Level: level, Compatible: bad == nil}
	if bad != nil {
		out.Against = bad.OldVersion
		for _, x := range bad.Differences {
			out.Reasons = append(out.Reasons, x.Description)
		}
	}
	return out
}

// until lists the versions up to a number, soft-deleted ones too, oldest first. s
// may be nil.
func (s *subject) until(number int) []*version {
	var list []*version
	if s == nil {
		return nil
	}
	for i := range s.versions {
		if ver := &s.versions[i]; ver.Version <= number {
			list = append(list, ver)
		}
	}
	return list
}

// gathered is what was found, by field.
type gathered struct {
	list []FieldChange
	at   map[string]int // by column
}

// field is the entry of a field, which its column's name finds.
func (g *gathered) field(path string) *FieldChange {
	first, rest, nested := strings.Cut(path, ".")
	column := schema.ColumnName(first)
	if strings.HasSuffix(first, "_") { // a column's name already
		column = first
	}
	if nested {
		column += "." + rest
	}
	i, known := g.at[column]
	if !known {
		i = len(g.list)
		g.at[column] = i
		g.list = append(g.list, FieldChange{Field: path, Kinds: []string{}})
	}
	return &g.list[i]
}

// differences takes in what readers make of the change, both ways.
func (g *gathered) differences(new, old schema.Schema) {
	for _, x := range schema.Changes(new, old) {
		f := g.field(x.Field)
		f.kind(x.Type)
		if x.Breaks {
			f.Backward = append(f.Backward, x.Describe("new", "old"))
		} else if x.Info != "" {
			f.Details = append(f.Details, x.Info)
		}
	}
	for _, x := range schema.Changes(old, new) {
		// The way back says the same in other words, but for what breaks.
		if x.Breaks {
			f := g.field(x.Field)
			if len(f.Kinds) == 0 {
				f.kind(x.Type)
			}
			f.Forward = append(f.Forward, x.Describe("old", "new"))
		}
	}
}

func (f *FieldChange) kind(name string) {
	if !slices.Contains(f.Kinds, name) {
		f.Kinds = append(f.Kinds, name)
	}
}

// effects takes in what tables do, but for what they did before.
func (g *gathered) effects(table, columns *arrow.Schema, known []*arrow.Schema, before []schema.TableEffect) {
	_, effects := schema.Absorb(table, columns, known...)
	for _, e := range effects {
		if slices.Contains(before, e) {
			continue
		}
		path := e.Column
		if e.Field != "" {
			path = e.Field
		}
		f := g.field(path)
		f.Table = append(f.Table, e)
		if len(f.Kinds) == 0 {
			f.kind("COLUMN_" + strings.ToUpper(string(e.Kind)))
		}
	}
}

// Refusal is the review in one line, "" if the level in force takes the schema.
func (r *Review) Refusal() string {
	if r.Compatible {
		return ""
	}
	for _, l := range r.Levels {
		if l.Level == r.Level && !l.Compatible {
			return fmt.Sprintf("refused by %s, against version %d", r.Level, l.Against)
		}
	}
	if r.Policy == Logical {
		return fmt.Sprintf("refused by the policy %s", r.Policy)
	}
	return "refused by the subject's settings"
}
