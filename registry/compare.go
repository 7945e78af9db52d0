package registry

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tarn-io/tarn/schema"
)

// maxOldSchema bounds how much of the older text a list of incompatibilities
// repeats, in bytes: Confluent's 10 KiB.
const maxOldSchema = 10 << 10

// Incompatible is the refusal of a schema by the subject's compatibility level.
type Incompatible struct {
	Subject string
	// Differences are all that speaks against it, with "new" and "old" filled
	// in; those of the forward direction come first.
	Differences []schema.Incompatibility
	OldVersion  int // the version that it conflicts with; 0 if that is none
	OldSchema   string
	Type        schema.Type
	Level       Level
	// ValidateFields is the setting of that name. What it refuses stands before
	// the differences; if there are no others, OldVersion is 0.
	ValidateFields bool
}

// Error gives the first difference and the conflicting version.
func (e *Incompatible) Error() string {
	if e.OldVersion == 0 {
		return fmt.Sprintf("schema of subject %q is refused (%s): %s", e.Subject, e.Level, e.Differences[0].Description)
	}
	return fmt.Sprintf("schema is incompatible with version %d of subject %q (%s): %s",
		e.OldVersion, e.Subject, e.Level, e.Differences[0].Description)
}

// Messages gives the differences as Confluent's registry words them in answers,
// with the entries that it puts at the end.
func (e *Incompatible) Messages() []string {
	var list []string
	for _, d := range e.Differences {
		list = append(list, e.message(d))
	}
	old := e.OldSchema
	switch {
	case e.OldVersion == 0: // of itself
	case len(old) > maxOldSchema:
		cut := maxOldSchema
		for cut > maxOldSchema-utf8.UTFMax && !utf8.RuneStart(old[cut]) {
			cut--
		}
		list = append(list, fmt.Sprintf("{oldSchemaVersion: %d}", e.OldVersion), fmt.Sprintf("{oldSchema: <truncated> '%s...'}", old[:cut]))
	default:
		list = append(list, fmt.Sprintf("{oldSchemaVersion: %d}", e.OldVersion), fmt.Sprintf("{oldSchema: '%s'}", old))
	}
	return append(list, fmt.Sprintf("{validateFields: '%t', compatibility: '%s'}", e.ValidateFields, e.Level))
}

// message writes one difference. The quotes of a JSON schema's description do
// not match: that is how Confluent's registry has it, and tools parse it.
func (e *Incompatible) message(d schema.Incompatibility) string {
	switch {
	case d.Description == differentType, d.Type == reservedRemoved, d.Type == reservedConflicts:
		return d.Description
	case e.Type == schema.Protobuf:
		return fmt.Sprintf(`{errorType:"%s", description:"%s"}`, d.Type, d.Description)
	case e.Type == schema.JSON:
		return fmt.Sprintf(`{errorType:"%s", description:"%s'}`, d.Type, d.Description)
	}
	return fmt.Sprintf("{errorType:'%s', description:'%s', additionalInfo:'%s'}", d.Type, d.Description, d.Info)
}

const differentType = "Incompatible because of different schema type"

// Compatible compares the schema with a version of subject, or if version is 0
// with those that the subject's level names. The level gives the direction.
// Refusals: *Incompatible, *schema.ParseError, *Refused of ErrVersionNotFound.
func (r *Registry) Compatible(name string, req Request, number int) error {
	v, within := r.world.Load().at(name)
	s := v.subjects.get(within)
	var against []*version
	if number != 0 {
		ver := s.find(number, false)
		if ver == nil && number != Latest {
			return refuseVersion(ErrVersionNotFound, name, number)
		}
		if ver != nil {
			against = []*version{ver}
		}
	} else if s != nil {
		against = s.alive()
	}
	d := draft{request: req}
	if err := d.prepare(v, within, false); err != nil {
		return err
	}
	d.fill(v.settingsOf(s), s)
	return v.compare(name, s, &d, against)
}

// alive lists the versions that are not deleted, newest first. s may be nil.
func (s *subject) alive() []*version {
	var list []*version
	if s == nil {
		return nil
	}
	for i := len(s.versions) - 1; i >= 0; i-- {
		if !s.versions[i].Deleted {
			list = append(list, &s.versions[i])
		}
	}
	return list
}

// compare holds a new schema against older versions of sub, which may be nil,
// newest first, by its settings. The error is an *Incompatible for the first
// version that fails.
func (v *view) compare(name string, sub *subject, d *draft, older []*version) error {
	set := v.settingsOf(sub)
	if sub != nil {
		name = sub.full()
	}
	var fields []schema.Incompatibility
	validate := set.ValidateFields != nil && *set.ValidateFields
	if validate && len(older) > 0 {
		fields = d.reserved(older[0])
	} else if validate {
		fields = d.reserved(nil)
	}
	err := v.compareAt(name, set, sub, d, older)
	bad, ok := errors.AsType[*Incompatible](err)
	switch {
	case err != nil && !ok, len(fields) == 0 && !ok:
		return err
	case !ok:
		bad = &Incompatible{Subject: name, Type: d.item.Type, Level: set.Level}
	}
	bad.Differences, bad.ValidateFields = append(fields, bad.Differences...), validate
	return bad
}

// compareAt compares as level and policy say.
func (v *view) compareAt(name string, set Settings, sub *subject, d *draft, older []*version) error {
	if set.Level == None {
		return nil
	}
	older = grouped(older, set.Group, &d.item)
	bad := v.incompatible(name, set, d, older)
	if set.Level != Table && set.Policy != Logical {
		if bad != nil {
			return bad
		}
		return nil
	}
	err := v.tableRefusal(name, sub, d, older)
	if more, ok := errors.AsType[*Incompatible](err); ok && bad != nil {
		bad.Differences = append(bad.Differences, more.Differences...)
	}
	if bad != nil {
		return bad
	}
	return err
}

// incompatible asks whether data can be read: it finds the first version that
// speaks against the new one, nil if none does.
func (v *view) incompatible(name string, set Settings, d *draft, older []*version) *Incompatible {
	if set.Level == Table {
		return nil // readers are not asked, not even of another language
	}
	word, transitive := strings.CutSuffix(string(set.Level), "_TRANSITIVE")
	if !transitive && len(older) > 1 {
		older = older[:1]
	}
	for _, ver := range older {
		list := v.differences(Level(word), set.Policy, d.schema, ver)
		if len(list) > 0 {
			return &Incompatible{
				Subject: name, Differences: list, OldVersion: ver.Version,
				OldSchema: ver.item.Text, Type: d.item.Type, Level: set.Level,
			}
		}
	}
	return nil
}

// differences compares with one version, in one or both directions.
func (v *view) differences(level Level, policy Policy, s schema.Schema, ver *version) []schema.Incompatibility {
	if s.Type() != ver.item.Type {
		return []schema.Incompatibility{{Type: "TYPE_MISMATCH", Path: "/", Description: differentType}}
	}
	old := ver.glance(v)
	if old.err != nil {
		return []schema.Incompatibility{{Type: "INVALID_SCHEMA", Path: "/", Description: old.err.Error()}}
	}
	var list []schema.Incompatibility
	if level == Forward || level == Full {
		for _, d := range reads(policy, old.schema, s) {
			d.Description = d.Describe("old", "new")
			list = append(list, d)
		}
	}
	if level == Backward || level == Full {
		for _, d := range reads(policy, s, old.schema) {
			d.Description = d.Describe("new", "old")
			list = append(list, d)
		}
	}
	return list
}

// reads compares under a policy. Only JSON Schema has a comparison that is lenient;
// it must be so at every depth, since members of oneOf are matched by it.
func reads(policy Policy, reader, writer schema.Schema) []schema.Incompatibility {
	if l, ok := reader.(interface {
		ReadsLenient(writer schema.Schema) []schema.Incompatibility
	}); ok && policy == Lenient {
		return l.ReadsLenient(writer)
	}
	return reader.Reads(writer)
}
