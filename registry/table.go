package registry

import (
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
)

// Types of incompatibilities with tables. Confluent's registry has others for its
// policy LOGICAL, as its tables follow other rules.
const (
	// tableRefuses is a column that the tables of the earlier versions cannot take.
	tableRefuses = "TABLE_CANNOT_ABSORB"
	// tableFormless is a schema that has no table form at all.
	tableFormless = "TABLE_FORM_MISSING"
)

// tableRefusal asks whether the tables that the versions of sub made so far can
// take rows of a new schema. sub may be nil. The error is an *Incompatible.
//
// All versions count up to the newest of older, those too that are soft-deleted:
// what a table has once, it has for good.
func (v *view) tableRefusal(name string, sub *subject, d *draft, older []*version) error {
	bad := &Incompatible{Subject: name, Type: d.item.Type, Level: v.settingsOf(sub).Level}
	want, err := columnsOf(d.schema)
	if err != nil {
		bad.Differences = []schema.Incompatibility{{Type: tableFormless, Path: "/", Description: "the new schema has no table form: " + err.Error()}}
		return bad
	}
	var versions []*version
	if len(older) > 0 {
		versions = sub.until(older[0].Version)
	}
	_, effects := schema.Absorb(v.tableOf(versions), want, v.known(versions)...)
	refused := schema.Refused(effects)
	if len(refused) == 0 {
		return v.messageRefusal(bad, d, versions)
	}
	for _, e := range refused {
		bad.Differences = append(bad.Differences, schema.Incompatibility{
			Type: tableRefuses, Path: "/" + strings.ReplaceAll(e.Column, ".", "/"), Description: e.Text, Info: e.Column,
		})
	}
	blamed := v.blame(versions, want)
	bad.OldVersion, bad.OldSchema = blamed.Version, blamed.item.Text
	return bad
}

// Limits of the look at messages that are not a file's first: each costs a table's
// columns for every version that has it.
const (
	maxTabledMessages = 100
	maxTabledVersions = 50
)

// messageRefusal asks the same of each message at the top of a Protobuf file by its
// name: a topic's records may be of any of them, and one that is new, gone or
// elsewhere in the file says nothing about the tables of another. What is refused is
// put into bad; nil if nothing is.
func (v *view) messageRefusal(bad *Incompatible, d *draft, versions []*version) error {
	names := language.Messages(d.schema)
	if len(versions) == 0 {
		return nil
	}
	versions = versions[max(0, len(versions)-maxTabledVersions):]
	for i, name := range names[:min(len(names), maxTabledMessages)] {
		list, against := v.messageAgainst(d.schema, i, name, versions)
		bad.Differences = append(bad.Differences, list...)
		if against != nil && against.Version > bad.OldVersion {
			bad.OldVersion, bad.OldSchema = against.Version, against.item.Text
		}
	}
	if len(bad.Differences) == 0 {
		return nil
	}
	return bad
}

// messageAgainst lists what speaks against the message at a place of a new schema,
// and the newest version that it conflicts with.
func (v *view) messageAgainst(s schema.Schema, at int, name string, versions []*version) (list []schema.Incompatibility, against *version) {
	want, formless := columnsAt(s, []int{at})
	var table *arrow.Schema
	for _, ver := range versions {
		had := v.messageColumns(ver, name)
		if had == nil {
			continue
		}
		if formless != nil {
			return []schema.Incompatibility{{
				Type: tableFormless, Path: "/" + name, Description: "message " + name + " of the new schema has no table form: " + formless.Error(),
			}}, ver
		}
		if _, effects := schema.Absorb(had, want); against == nil || len(schema.Refused(effects)) > 0 {
			against = ver
		}
		table, _ = schema.Absorb(table, had)
	}
	if table == nil {
		return nil, nil
	}
	_, effects := schema.Absorb(table, want)
	for _, e := range schema.Refused(effects) {
		list = append(list, schema.Incompatibility{
			Type: tableRefuses, Path: "/" + name + "/" + strings.ReplaceAll(e.Column, ".", "/"), Description: "message " + name + ": " + e.Text, Info: e.Column,
		})
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list, against
}

// messageColumns are those of a version's message by its name; nil if it has no
// such message, or the message no table form.
func (v *view) messageColumns(ver *version, name string) *arrow.Schema {
	p := ver.glance(v)
	if p.err != nil {
		return nil
	}
	index, ok := language.Index(p.schema, name)
	if !ok {
		return nil
	}
	columns, err := columnsAt(p.schema, index)
	if err != nil {
		return nil
	}
	return columns
}

// tableOf is the columns of a table that took the versions, oldest first; nil if
// none of them has a table form. A version that did not fit changed nothing.
func (v *view) tableOf(versions []*version) *arrow.Schema {
	var table *arrow.Schema
	known := v.known(versions)
	for _, ver := range versions {
		if columns, err := v.columns(ver); err == nil {
			table, _ = schema.Absorb(table, columns, known...)
		}
	}
	return table
}

// maxKnown bounds the versions whose aliases are asked for a column's name: a
// field is not renamed more often than that.
const maxKnown = 16

// known are the columns of those of the newest versions whose fields have aliases,
// newest first. Only Avro has any.
func (v *view) known(versions []*version) []*arrow.Schema {
	var out []*arrow.Schema
	for _, ver := range versions[max(0, len(versions)-maxKnown):] {
		if ver.item.Type != schema.Avro {
			continue
		}
		if columns, err := v.columns(ver); err == nil && schema.WithoutAliases(columns) != columns {
			out = append(out, columns)
		}
	}
	slices.Reverse(out)
	return out
}

// Known are the columns of those of a subject's newest versions whose fields have
// aliases, newest first, for schema.Keep.
func (r *Registry) Known(subject string) []*arrow.Schema {
	v, within := r.world.Load().at(subject)
	s := v.subjects.get(within)
	if s == nil || s.latest == nil {
		return nil
	}
	return v.known(s.until(s.versions[len(s.versions)-1].Version))
}

// blame is the newest version that by itself stands against the columns, else the
// newest of all.
func (v *view) blame(versions []*version, want *arrow.Schema) *version {
	for _, ver := range slices.Backward(versions) {
		columns, err := v.columns(ver)
		if err != nil {
			continue
		}
		if _, effects := schema.Absorb(columns, want); len(schema.Refused(effects)) > 0 {
			return ver
		}
	}
	return versions[len(versions)-1]
}

// columns are a version's in tables, with the aliases of its fields. For Protobuf they are those of the first
// message, which is the one that tables are made of.
func (v *view) columns(ver *version) (*arrow.Schema, error) {
	p := ver.glance(v)
	if p.err != nil {
		return nil, p.err
	}
	if p.first.err != nil {
		return nil, p.first.err
	}
	return schema.AliasedColumns(p.first.decoder), nil
}

func columnsOf(s schema.Schema) (*arrow.Schema, error) { return columnsAt(s, nil) }

// columnsAt are the columns of the message that index selects, with the aliases of
// its fields.
func columnsAt(s schema.Schema, index []int) (*arrow.Schema, error) {
	d, err := s.Decoder(index)
	if err != nil {
		return nil, err
	}
	return schema.AliasedColumns(d), nil
}
