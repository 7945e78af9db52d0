package registry

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
)

// Items in the store; README.md has the table. The "." is the default context:
// ids and subjects of other contexts will stand beside it under their names.
const (
	prefix        = "registry/"
	context0      = prefix + "./"
	nextKey       = context0 + "next"
	settingsKey   = context0 + "settings"
	schemaPrefix  = context0 + "schema/"
	subjectPrefix = context0 + "subject/"
)

// idDigits makes keys of ids sort by number.
const idDigits = 10

func schemaKey(id int) string          { return fmt.Sprintf("%s%0*d", schemaPrefix, idDigits, id) }
func subjectKey(subject string) string { return subjectPrefix + subject }

// nextItem is the value of nextKey: the id that the next new schema gets. It
// never falls, so an id means one schema for ever.
type nextItem struct {
	Next int `json:"next"`
}

// schemaItem is a schema by its id. It is written once.
type schemaItem struct {
	Type       schema.Type        `json:"type"`
	Text       string             `json:"text"`
	References []schema.Reference `json:"references,omitempty"`
	Metadata   *schema.Metadata   `json:"metadata,omitempty"`
	Rules      *schema.RuleSet    `json:"rules,omitempty"`
}

func (s schemaItem) guid() [16]byte { return schema.GUID(s.Text, s.References, s.Metadata, s.Rules) }

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

// settingsItem is what a subject, or the registry as a whole, has set.
type settingsItem struct {
	Level     Level `json:"level,omitempty"`
	Mode      Mode  `json:"mode,omitempty"`
	Normalize *bool `json:"normalize,omitempty"`
}

func (s settingsItem) empty() bool { return s == settingsItem{} }

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
func idOf(key string) (int, error) {
	text := strings.TrimPrefix(key, schemaPrefix)
	id, err := strconv.ParseInt(text, 10, 32)
	if err != nil || id <= 0 || schemaKey(int(id)) != key {
		return 0, broken(key, "not a schema id")
	}
	return int(id), nil
}

func broken(key, why string) error {
	return fmt.Errorf("%w: item %q of the registry: %s", storage.ErrBroken, key, why)
}
