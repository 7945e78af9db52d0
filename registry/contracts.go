package registry

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// fill completes what a new version says of metadata and rules: what the
// request leaves out comes from the latest version, and the subject's defaults
// and overrides are merged in. A request that says nothing, of a subject
// without either, stays as it is: any version with its text will do.
func (d *draft) fill(set Settings, s *subject) {
	latest := latestOf(s)
	merging := set.DefaultMetadata != nil || set.OverrideMetadata != nil || set.DefaultRules != nil || set.OverrideRules != nil
	if d.bare() && !merging && !d.request.retags() {
		return
	}
	d.inherit(latest)
	d.item.Metadata = mergeMetadata(mergeMetadata(set.DefaultMetadata, d.item.Metadata), set.OverrideMetadata)
	d.item.Rules = mergeRules(mergeRules(set.DefaultRules, d.item.Rules), set.OverrideRules)
	if d.request.retags() || d.item.Metadata != nil && d.item.Metadata.Properties[versionProperty] != "" {
		d.item.Metadata = mergeMetadata(d.item.Metadata, &schema.Metadata{Properties: map[string]string{versionProperty: strconv.Itoa(s.nextNumber())}})
	}
	d.exact = true
}

// versionProperty is the property of metadata in which Confluent's registry
// writes the version's number: of versions that were made by tagging, and of
// those after them. Two schemas may differ in it and be the same.
const versionProperty = "confluent:version"

// unversioned is s without the version's number in its metadata.
func (s schemaItem) unversioned() schemaItem {
	if s.Metadata == nil || s.Metadata.Properties[versionProperty] == "" {
		return s
	}
	m := *s.Metadata
	m.Properties = maps.Clone(m.Properties)
	if delete(m.Properties, versionProperty); len(m.Properties)+len(m.Tags)+len(m.Sensitive) > 0 {
		s.Metadata = &m
	} else {
		s.Metadata = nil
	}
	return s
}

// inherit takes over from the latest version what the request leaves out.
func (d *draft) inherit(latest *version) {
	if latest == nil {
		return
	}
	if d.request.Metadata == nil {
		d.item.Metadata = latest.item.Metadata
	}
	if d.request.Rules == nil {
		d.item.Rules = latest.item.Rules
	}
}

// mergeMetadata lays b over a: of a property in both b's value counts, the tags
// of a path and the sensitive names are united.
func mergeMetadata(a, b *schema.Metadata) *schema.Metadata {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := &schema.Metadata{Tags: maps.Clone(a.Tags), Properties: maps.Clone(a.Properties), Sensitive: union(a.Sensitive, b.Sensitive)}
	for path, tags := range b.Tags {
		if out.Tags == nil {
			out.Tags = map[string][]string{}
		}
		out.Tags[path] = union(out.Tags[path], tags)
	}
	for key, value := range b.Properties {
		if out.Properties == nil {
			out.Properties = map[string]string{}
		}
		out.Properties[key] = value
	}
	return out
}

func union(a, b []string) []string {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// mergeRules lays b over a: a rule of b takes the place of one of a with its
// name, and stands behind the others.
func mergeRules(a, b *schema.RuleSet) *schema.RuleSet {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := &schema.RuleSet{
		MigrationRules: mergeRuleList(a.MigrationRules, b.MigrationRules),
		DomainRules:    mergeRuleList(a.DomainRules, b.DomainRules),
		EncodingRules:  mergeRuleList(a.EncodingRules, b.EncodingRules),
		EnableAt:       a.EnableAt,
	}
	if b.EnableAt != "" {
		out.EnableAt = b.EnableAt
	}
	return out
}

func mergeRuleList(a, b []schema.Rule) []schema.Rule {
	named := func(name string) bool {
		return slices.ContainsFunc(b, func(r schema.Rule) bool { return r.Name == name })
	}
	var out []schema.Rule
	for _, r := range a {
		if !named(r.Name) {
			out = append(out, r)
		}
	}
	return append(out, b...)
}

// Limits and words of rules, as Confluent's registry has them.
const maxRuleName = 256

var ruleName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// checkRules refuses a rule set that clients could not run: names missing or
// used twice, modes that the kind of rule does not have, pairs of actions where
// a rule runs one way only.
func checkRules(rules *schema.RuleSet) error {
	if rules == nil {
		return nil
	}
	migration := []string{"UPGRADE", "DOWNGRADE", "UPDOWN"}
	traffic := []string{"WRITE", "READ", "WRITEREAD"}
	seen := map[string]bool{}
	for _, part := range []struct {
		word  string
		rules []schema.Rule
		modes []string
	}{
		{"migration", rules.MigrationRules, migration},
		{"domain", rules.DomainRules, traffic},
		{"encoding", rules.EncodingRules, traffic},
	} {
		for i, r := range part.rules {
			if err := checkRule(r, part.modes, seen); err != nil {
				return &Refused{Kind: ErrBadRules, Detail: fmt.Sprintf("%s rule %d: %v", part.word, i, err)}
			}
		}
	}
	return nil
}

func checkRule(r schema.Rule, modes []string, seen map[string]bool) error {
	mode := strings.ToUpper(r.Mode)
	switch {
	case r.Name == "":
		return fmt.Errorf("it has no name")
	case len(r.Name) > maxRuleName:
		return fmt.Errorf("its name has more than %d characters", maxRuleName)
	case !ruleName.MatchString(r.Name):
		return fmt.Errorf("its name %q must begin with a letter or '_', and go on with these, digits and '-'", r.Name)
	case seen[r.Name]:
		return fmt.Errorf("another rule is called %q", r.Name)
	case r.Kind != "" && !slices.Contains([]string{"TRANSFORM", "CONDITION"}, strings.ToUpper(r.Kind)):
		return fmt.Errorf("%q is no kind: TRANSFORM or CONDITION", r.Kind)
	case mode != "" && !slices.Contains(modes, mode):
		return fmt.Errorf("mode %q is none of %s", r.Mode, strings.Join(modes, ", "))
	case r.Type == "":
		return fmt.Errorf("it has no type")
	}
	seen[r.Name] = true
	if mode == "WRITEREAD" || mode == "UPDOWN" {
		return nil
	}
	for _, action := range []string{r.OnSuccess, r.OnFailure} {
		if strings.Contains(action, ",") {
			return fmt.Errorf("two actions need the mode WRITEREAD or UPDOWN")
		}
	}
	return nil
}

// grouped keeps the versions that have the same value as item for the property
// that a compatibility group names.
func grouped(older []*version, group string, item *schemaItem) []*version {
	if group == "" {
		return older
	}
	value, has := property(item.Metadata, group)
	return slices.DeleteFunc(slices.Clone(older), func(ver *version) bool {
		v, ok := property(ver.item.Metadata, group)
		return ok != has || v != value
	})
}

func property(m *schema.Metadata, key string) (string, bool) {
	if m == nil {
		return "", false
	}
	value, ok := m.Properties[key]
	return value, ok
}
