package schema

import (
	"crypto/md5" // the GUID's definition, not a protection
	"encoding/binary"
	"maps"
	"slices"
)

// Metadata is what a subject's version says about its schema, as the registry's
// JSON spells it.
type Metadata struct {
	Tags       map[string][]string `json:"tags,omitempty"`
	Properties map[string]string   `json:"properties,omitempty"`
	Sensitive  []string            `json:"sensitive,omitempty"`
}

// RuleSet is a version's rules, in the registry's JSON.
type RuleSet struct {
	MigrationRules []Rule `json:"migrationRules,omitempty"`
	DomainRules    []Rule `json:"domainRules,omitempty"`
	EncodingRules  []Rule `json:"encodingRules,omitempty"`
	EnableAt       string `json:"enableAt,omitempty"`
}

// Rule is one rule of a RuleSet. Clients run rules; the registry keeps them.
type Rule struct {
	Name      string            `json:"name,omitempty"`
	Doc       string            `json:"doc,omitempty"`
	Kind      string            `json:"kind,omitempty"`
	Mode      string            `json:"mode,omitempty"`
	Type      string            `json:"type,omitempty"`
	Tags      []string          `json:"tags,omitempty"`
	Params    map[string]string `json:"params,omitempty"`
	Expr      string            `json:"expr,omitempty"`
	OnSuccess string            `json:"onSuccess,omitempty"`
	OnFailure string            `json:"onFailure,omitempty"`
	Disabled  bool              `json:"disabled"`
}

// GUID is the schema's identity across registries: the MD5 of its canonical
// text, references, metadata and rules, as Confluent's registry computes it
// . Parts follow each
// other without length or separator; absent ones add nothing; maps and sets go
// in sorted order. Its 16 bytes are the UUID, big-endian.
func GUID(text string, refs []Reference, meta *Metadata, rules *RuleSet) [16]byte {
	if len(refs) == 0 && meta == nil && rules == nil {
		return md5.Sum([]byte(text)) // most schemas, and without a copy
	}
	b := []byte(text)
	for _, r := range refs {
		b = append(append(b, r.Name...), r.Subject...)
		b = binary.BigEndian.AppendUint32(b, uint32(int32(r.Version)))
	}
	if meta != nil {
		b = append(b, 1)
		for _, key := range slices.Sorted(maps.Keys(meta.Tags)) {
			b = appendSet(append(b, key...), meta.Tags[key])
		}
		b = appendMap(b, meta.Properties)
		b = appendSet(b, meta.Sensitive)
	}
	if rules != nil {
		b = append(b, 1)
		for _, list := range [][]Rule{rules.MigrationRules, rules.DomainRules, rules.EncodingRules} {
			for _, r := range list {
				b = r.appendHash(b)
			}
		}
		b = append(b, rules.EnableAt...)
	}
	return md5.Sum(b)
}

func (r Rule) appendHash(b []byte) []byte {
	for _, s := range []string{r.Name, r.Doc, r.Kind, r.Mode, r.Type} {
		b = append(b, s...)
	}
	b = appendSet(b, r.Tags)
	b = appendMap(b, r.Params)
	for _, s := range []string{r.Expr, r.OnSuccess, r.OnFailure} {
		b = append(b, s...)
	}
	if r.Disabled {
		b = append(b, 1)
	}
	return b
}

func appendSet(b []byte, set []string) []byte {
	for _, s := range slices.Compact(slices.Sorted(slices.Values(set))) {
		b = append(b, s...)
	}
	return b
}

func appendMap(b []byte, m map[string]string) []byte {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		b = append(append(b, key...), m[key]...)
	}
	return b
}
