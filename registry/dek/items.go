package dek

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
)

// Keys of items begin with prefix; README.md has the table. Names and algorithms
// hold no slash, so what is left at the end is the subject.
const (
	prefix    = "deks/"
	prefixKEK = prefix + "kek/"
	prefixDEK = prefix + "dek/"
)

func (k *kek) key() string { return prefixKEK + k.Name }

func (id dekID) key() string {
	return fmt.Sprintf("%s%s/%s/%010d/%s", prefixDEK, id.kek, id.algorithm, id.version, id.subject)
}

// parseKey is the reverse of key.
func parseKey(text string) (dekID, error) {
	parts := strings.SplitN(strings.TrimPrefix(text, prefixDEK), "/", 4)
	if len(parts) != 4 {
		return dekID{}, broken(text, nil)
	}
	version, err := strconv.Atoi(parts[2])
	id := dekID{parts[0], parts[3], Algorithm(parts[1]), version}
	if err != nil || id.key() != text {
		return dekID{}, broken(text, err)
	}
	return id, nil
}

func item(key string, version int64, value any) (storage.Item, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return storage.Item{}, fmt.Errorf("encode a key: %w", err)
	}
	return storage.Item{Key: key, Version: version, Value: b}, nil
}

// put takes an item as the store has it into s, which nobody else sees yet.
func (s *state) put(it storage.Item) error {
	switch {
	case strings.HasPrefix(it.Key, prefixKEK):
		name := strings.TrimPrefix(it.Key, prefixKEK)
		if it.Delete {
			delete(s.keks, name)
			return nil
		}
		k := &kek{itemVersion: it.Version}
		if err := json.Unmarshal(it.Value, &k.KEK); err != nil || k.key() != it.Key {
			return broken(it.Key, err)
		}
		s.keks[name] = k
	case strings.HasPrefix(it.Key, prefixDEK):
		if it.Delete {
			id, err := parseKey(it.Key)
			delete(s.deks, id)
			return err
		}
		d := &key{itemVersion: it.Version}
		if err := json.Unmarshal(it.Value, &d.DEK); err != nil || idOf(d.DEK).key() != it.Key {
			return broken(it.Key, err)
		}
		s.deks[idOf(d.DEK)] = d
	default:
		return broken(it.Key, nil)
	}
	return nil
}

// broken says that an item cannot be read; why may be nil.
func broken(key string, why error) error {
	err := fmt.Errorf("%w: item %q of the key registry", storage.ErrBroken, key)
	return errors.Join(err, why)
}
