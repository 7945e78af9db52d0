package rest

import (
	"net/http"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// schemaTags is Confluent's SchemaTags: a record or a field, and its tags.
type schemaTags struct {
	Entity schemaEntity `json:"schemaEntity"`
	Tags   []string     `json:"tags"`
}

type schemaEntity struct {
	Path string `json:"entityPath"`
	Type string `json:"entityType"` // sr_record or sr_field
}

// Words of schemaEntity.Type.
const (
	entityRecord = "sr_record"
	entityField  = "sr_field"
)

func tagged(list []schemaTags) ([]schema.Tagged, error) {
	var out []schema.Tagged
	for _, one := range list {
		if one.Entity.Path == "" || one.Entity.Type != entityRecord && one.Entity.Type != entityField {
			return nil, badRequest("schemaEntity needs an entityPath, and an entityType of %s or %s", entityRecord, entityField)
		}
		out = append(out, schema.Tagged{Path: one.Entity.Path, Record: one.Entity.Type == entityRecord, Tags: one.Tags})
	}
	return out, nil
}

func showTags(list []schema.Tagged) []schemaTags {
	var out []schemaTags
	for _, one := range list {
		kind := entityField
		if one.Record {
			kind = entityRecord
		}
		out = append(out, schemaTags{schemaEntity{one.Path, kind}, one.Tags})
	}
	return out
}

// tagBody is Confluent's TagSchemaRequest.
type tagBody struct {
	NewVersion    int              `json:"newVersion"`
	TagsToAdd     []schemaTags     `json:"tagsToAdd"`
	TagsToRemove  []schemaTags     `json:"tagsToRemove"`
	Metadata      *schema.Metadata `json:"metadata"`
	RuleSet       *schema.RuleSet  `json:"ruleSet"`
	RulesToMerge  *schema.RuleSet  `json:"rulesToMerge"`
	RulesToRemove []string         `json:"rulesToRemove"`
}

// tag registers a version with other tags, and answers as register does.
func (a *api) tag(req *http.Request) (any, error) {
	n, err := version(req)
	if err != nil {
		return nil, err
	}
	var body tagBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	t := registry.TagRequest{
		NewVersion: body.NewVersion, Metadata: body.Metadata, Rules: body.RuleSet,
		MergeRules: body.RulesToMerge, RemoveRules: body.RulesToRemove,
	}
	if t.Add, err = tagged(body.TagsToAdd); err != nil {
		return nil, err
	}
	if t.Remove, err = tagged(body.TagsToRemove); err != nil {
		return nil, err
	}
	v, err := a.reg.Tag(req.Context(), a.target(req), n, t)
	if err != nil {
		return nil, err
	}
	w, err := a.answer(v, "")
	w.Subject = ""
	return w, err
}
