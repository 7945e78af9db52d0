package topic

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPinned bounds the versions that one topic may be pinned to: each record of
// another schema looks through them.
const MaxPinned = 64

// SchemaUse says how the keys or the values of a topic are held against their
// schemas, and which schema reads a payload that names none.
type SchemaUse struct {
	Validation Validation
	Strategy   Strategy
	// Subject, if set, is the one whatever the strategy says.
	Subject string
	// Latest and Pinned narrow the versions that records may have: to the latest
	// one, to those listed (ascending), or not at all.
	Latest bool
	Pinned []int
	Bare   Bare
	// Message, if set, is the full name that records must have: of a record, a
	// message, or a title. Bare Protobuf payloads are of this message.
	Message string
	// RefuseNull refuses null keys, and null values, which are tombstones.
	RefuseNull bool
	// RefuseUnknown refuses Protobuf fields that the schema does not have.
	RefuseUnknown bool
}

// whole says that payloads are checked from end to end.
func (u *SchemaUse) whole() bool {
	return u.Validation == ValidatePayload || u.Validation == ValidateMonitor
}

// RuleMode says what becomes of records that break a rule of their schema.
type RuleMode string

// The values of tarn.schema.rules.
const (
	RulesOff     RuleMode = "off"
	RulesEnforce RuleMode = "enforce"
	RulesMonitor RuleMode = "monitor"
)

// Bare says what becomes of payloads that name no schema.
type Bare string

// The values of tarn.key.schema.bare and tarn.value.schema.bare.
const (
	BareLatest  Bare = "latest"  // they must fit the latest version, or the highest pinned one
	BareAttempt Bare = "attempt" // they must fit one version, to the last byte
	BareRefuse  Bare = "refuse"  // they are refused
)

// schemaKeys are the keys about the schemas of "key" or "value".
func schemaKeys(part string, use func(*Config) *SchemaUse) []Definition {
	levels := []string{string(ValidateOff), string(ValidateID), string(ValidatePayload), string(ValidateMonitor)}
	strategies := []string{string(StrategyTopic), string(StrategyRecord), string(StrategyTopicRecord)}
	bare := []string{string(BareLatest), string(BareAttempt), string(BareRefuse)}
	null := "Whether null keys are taken."
	if part == "value" {
		null = "Whether null values, the tombstones of compacted topics, are taken."
	}
	return []Definition{
		choice("tarn."+part+".schema.bare", "latest", bare,
			func(c *Config, s string) { use(c).Bare = Bare(s) },
			"What a "+part+" without schema id is held against, where whole payloads are checked: latest is the latest version (or the highest one of tarn."+part+".schema.versions); attempt takes the newest version that it fits to the last byte, and also tries payloads whose first byte only looks like a schema id's; refuse refuses it."),
		schemaName("tarn."+part+".schema.message", func(c *Config) *string { return &use(c).Message },
			"The full name that every "+part+"'s record or message must have (of a JSON schema the title); a Protobuf "+part+" without schema id is of this message. Empty: any, and the first message of the file."),
		choice("tarn."+part+".schema.null", "allow", []string{"allow", "refuse"},
			func(c *Config, s string) { use(c).RefuseNull = s == "refuse" }, null+" It counts where validation is on."),
		schemaName("tarn."+part+".schema.subject", func(c *Config) *string { return &use(c).Subject },
			"The subject of the "+part+"s' schemas; empty: as the subject name strategy says."),
		choice("tarn."+part+".schema.validation", "off", levels,
			func(c *Config, s string) { use(c).Validation = Validation(s) },
			"How far record "+part+"s are held against their schema: id asks for a schema id of the subject, payload for bytes that decode by it; monitor counts what payload would refuse, and refuses nothing."),
		choice("tarn."+part+".schema.unknown", "allow", []string{"allow", "refuse"},
			func(c *Config, s string) { use(c).RefuseUnknown = s == "refuse" },
			"Whether a Protobuf "+part+" may have fields that its schema does not have, where whole payloads are checked. Numbers in extension ranges are always taken. The other languages say it in the schema."),
		versions("tarn."+part+".schema.versions", use,
			"Which versions of the subject the "+part+"s may have: any, the latest, or those listed by number."),
		choice("tarn."+part+".subject.name.strategy", "topic", strategies,
			func(c *Config, s string) { use(c).Strategy = Strategy(s) },
			"Which subject a "+part+"'s schema belongs to: topic is the subject that the registry has the topic associated with, else the topic's name and -"+part+"; record and topic_record go by the name of the record."),
	}
}

// schemaName defines a name in the registry, which may be empty.
func schemaName(name string, field func(*Config) *string, doc string) Definition {
	return Definition{Name: name, Kind: String, Allowed: "a name, or empty", Doc: doc,
		set: func(c *Config, s string) error {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
				return errors.New("must be UTF-8 without control characters")
			}
			*field(c) = s
			return nil
		}}
}

// schemaContext defines the registry context of a topic's subjects. Confluent
// writes the default one as "default", contexts with a dot in front.
func schemaContext() Definition {
	return Definition{Name: "tarn.schema.context", Kind: String, Allowed: "a context, or empty",
		Doc: "The registry's context that the subjects and ids of the topic are looked for in, as .name; empty: the default context.",
		set: func(c *Config, s string) error {
			if s == "default" || s == "." {
				s = ""
			}
			if strings.ContainsAny(s, ":/") || strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
				return errors.New("must be a context's name, as .name")
			}
			if s != "" && !strings.HasPrefix(s, ".") {
				s = "." + s
			}
			c.SchemaContext = s
			return nil
		}}
}

func versions(name string, use func(*Config) *SchemaUse, doc string) Definition {
	allowed := fmt.Sprintf("any, latest, or up to %d numbers with commas between", MaxPinned)
	return Definition{Name: name, Kind: String, Default: "any", Allowed: allowed, Doc: doc,
		set: func(c *Config, s string) error {
			u := use(c)
			u.Latest, u.Pinned = s == "latest", nil
			if s == "any" || s == "latest" {
				return nil
			}
			for _, word := range splitList(s) {
				n, err := strconv.ParseInt(word, 10, 32)
				if err != nil || n < 1 || slices.Contains(u.Pinned, int(n)) {
					return errors.New("must be " + allowed)
				}
				u.Pinned = append(u.Pinned, int(n))
			}
			if len(u.Pinned) == 0 || len(u.Pinned) > MaxPinned {
				return errors.New("must be " + allowed)
			}
			slices.Sort(u.Pinned)
			return nil
		}}
}
