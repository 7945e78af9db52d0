package registry

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
)

// prefix begins the keys of all items in the store; README.md has the table. A
// context's name follows, escaped as in a URL path so that it holds no slash,
// and then one of the words below.
const (
	prefix        = "registry/"
	wordNext      = "next"
	wordSettings  = "settings"
	prefixSchema  = "schema/"
	prefixSubject = "subject/"
	// prefixAssociation begins the items of resources, in the default context.
	prefixAssociation = "association/"
)

// idDigits makes keys of ids sort by number.
const idDigits = 10

// keys gives the keys of one context's items. It is what they begin with.
type keys string

func keysOf(context string) keys { return keys(prefix + url.PathEscape(context) + "/") }

func (k keys) next() string     { return string(k) + wordNext }
func (k keys) settings() string { return string(k) + wordSettings }
func (k keys) schema(id int) string {
	return fmt.Sprintf("%s%s%0*d", string(k), prefixSchema, idDigits, id)
}
func (k keys) association(id string) string { return string(k) + prefixAssociation + id }
func (k keys) subject(name string) string   { return string(k) + prefixSubject + name }

// splitKey reads an item's key: its context, and what stands behind it.
func splitKey(key string) (context, rest string, err error) {
	escaped, rest, ok := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	if context, err = url.PathUnescape(escaped); err != nil || !ok || string(keysOf(context))+rest != key {
		return "", "", broken(key, "no context in the key")
	}
	return context, rest, nil
}

// nextItem is the value of keys.next: the id that the next new schema gets. It
// never falls, so an id means one schema for ever, also when its context is
// deleted and made again.
type nextItem struct {
	Next int  `json:"next"`
	Gone bool `json:"gone,omitempty"` // the context is deleted
}

// schemaItem is a schema by its id. It is written once.
type schemaItem struct {
	Type schema.Type `json:"type"`
	// Form is what all texts of the schema have in common, as language.Form gives
	// it: of Protobuf schemas only, and of older items not.
	Form       string             `json:"form,omitempty"`
	Text       string             `json:"text"`
	References []schema.Reference `json:"references,omitempty"`
	Metadata   *schema.Metadata   `json:"metadata,omitempty"`
	Rules      *schema.RuleSet    `json:"rules,omitempty"`
}

func (s schemaItem) guid() [16]byte { return schema.GUID(s.Text, s.References, s.Metadata, s.Rules) }

// alike is what schemas of one form, references, metadata and rules have in
// common, if there is a form.
func (s schemaItem) alike() (sum [16]byte, ok bool) {
	return schema.GUID(s.Form, s.References, s.Metadata, s.Rules), s.Form != ""
}

// subjectItem is a subject: its versions in ascending order, and its settings.
type subjectItem struct {
	Versions []versionItem `json:"versions,omitempty"`
	settingsItem
}

type versionItem struct {
	Version   int   `json:"version"`
	ID        int   `json:"id"`
	CreatedMs int64 `json:"created_ms"`
	Deleted   bool  `json:"deleted,omitempty"`
}

// settingsItem is what a subject, or a context as a whole, has set.
type settingsItem struct {
	Settings
	Mode Mode `json:"mode,omitempty"`
}

func (s settingsItem) empty() bool { return s.Mode == "" && s.Settings.empty() }

// set makes an item of a Write. Our own types always encode.
func set(key string, version int64, value any) storage.Item {
	b, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("registry: encode %T: %v", value, err))
	}
	return storage.Item{Key: key, Value: b, Version: version}
}

// decode reads an item's value.
func decode(it storage.Item, into any) error {
	if err := json.Unmarshal(it.Value, into); err != nil {
		return broken(it.Key, err.Error())
	}
	return nil
}

// idOf reads the id from a schema's key.
func (k keys) idOf(key string) (int, error) {
	text := key[len(k)+len(prefixSchema):]
	id, err := strconv.ParseInt(text, 10, 32)
	if err != nil || id <= 0 || len(text) != idDigits || text[0] == '+' {
		return 0, broken(key, "not a schema id")
	}
	return int(id), nil
}

func broken(key, why string) error {
	return fmt.Errorf("%w: item %q of the registry: %s", storage.ErrBroken, key, why)
}
