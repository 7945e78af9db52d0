package registry

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
)

// Tags stand in a schema's text, so a schema with other tags is another schema:
// to tag a version is to register a new one.

// retags reports whether the request changes the tags of its text.
func (r *Request) retags() bool {
	return len(r.AddTags)+len(r.RemoveTags) > 0 || r.PropagateTags
}

// takeOver completes a request without text by the latest version of s.
func (r *Request) takeOver(s *subject) error {
	if strings.TrimSpace(r.Text) != "" {
		return nil
	}
	latest := latestOf(s)
	if latest == nil {
		return badSchema("Empty schema")
	}
	r.Type, r.Text, r.References = latest.item.Type, latest.item.Text, latest.item.References
	return nil
}

// retag gives the request's text with its tags changed.
func (v *view) retag(r Request, s *subject, named []schema.Named, lax bool) (string, error) {
	src := schema.Source{Type: r.Type, Text: r.Text, References: named, Lax: lax}
	text, err := language.Retag(src, r.AddTags, r.RemoveTags)
	latest := latestOf(s)
	if err != nil || !r.PropagateTags || latest == nil || latest.item.Type != r.Type {
		return text, err
	}
	old := latest.load(v)
	if old.err != nil {
		return text, nil
	}
	for _, one := range language.Tags(old.schema) {
		src.Text = text
		with, err := language.Retag(src, []schema.Tagged{one}, nil)
		if _, missing := errors.AsType[*schema.ParseError](err); missing {
			continue // the new text lacks this place
		}
		if err != nil {
			return "", err
		}
		text = with
	}
	return text, nil
}

// TagRequest changes the tags of a version, and what goes with it.
type TagRequest struct {
	// NewVersion is the number that the new version must get, 0 the next.
	NewVersion    int
	Add, Remove   []schema.Tagged
	Metadata      *schema.Metadata // nil: that of the version
	Rules         *schema.RuleSet  // nil: those of the latest version
	MergeRules    *schema.RuleSet  // laid over the latest version's
	RemoveRules   []string         // names
	PropagateTags bool
}

// Tag registers a version like another one with other tags. Refusals are those
// of Version and Register, and ErrBadRules for rules in two ways.
func (r *Registry) Tag(ctx context.Context, name string, number int, t TagRequest) (Version, error) {
	ver, err := r.Version(name, number, false)
	if err != nil {
		return Version{}, err
	}
	if t.Rules != nil && (t.MergeRules != nil || t.RemoveRules != nil) {
		return Version{}, &Refused{Kind: ErrBadRules, Detail: "ruleSet should be omitted if specifying rulesToMerge or rulesToRemove"}
	}
	if t.Metadata == nil {
		t.Metadata = ver.Metadata
	}
	if t.MergeRules != nil || t.RemoveRules != nil {
		var old Version
		if t.NewVersion > 1 {
			old, _ = r.Version(name, t.NewVersion-1, false)
		} else {
			old, _ = r.Latest(name)
		}
		t.Rules = withoutRules(mergeRules(old.Rules, t.MergeRules), t.RemoveRules)
	}
	return r.Register(ctx, name, Request{
		Type: ver.Type, Text: ver.Text, References: ver.References, Metadata: t.Metadata, Rules: t.Rules,
		Version: t.NewVersion, AddTags: t.Add, RemoveTags: t.Remove, PropagateTags: t.PropagateTags,
	})
}

// withoutRules drops rules by their names.
func withoutRules(rules *schema.RuleSet, names []string) *schema.RuleSet {
	if rules == nil || len(names) == 0 {
		return rules
	}
	kept := func(list []schema.Rule) []schema.Rule {
		return slices.DeleteFunc(slices.Clone(list), func(r schema.Rule) bool { return slices.Contains(names, r.Name) })
	}
	return &schema.RuleSet{
		MigrationRules: kept(rules.MigrationRules), DomainRules: kept(rules.DomainRules),
		EncodingRules: kept(rules.EncodingRules), EnableAt: rules.EnableAt,
	}
}

// Tags lists what in the text of ver has tags: one of those given, or "*" any.
func (r *Registry) Tags(ver Version, tags []string) ([]schema.Tagged, error) {
	s, err := r.Schema(ver.Context, ver.ID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(language.Tags(s), func(t schema.Tagged) bool {
		return !slices.Contains(tags, "*") && !slices.ContainsFunc(t.Tags, func(tag string) bool { return slices.Contains(tags, tag) })
	}), nil
}
