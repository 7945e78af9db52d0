package topic

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is a config value's type, with Kafka's numbers (DescribeConfigs v3).
type Kind int8

// Kinds that topic configs use.
const (
	Bool   Kind = 1
	String Kind = 2
	Int    Kind = 3
	Long   Kind = 5
	Double Kind = 6
	List   Kind = 7
)

// Definition is one topic config key. Every key takes effect, or carries a
// Note that says why it does not; all others are refused.
type Definition struct {
	Name    string
	Kind    Kind
	Default string
	Doc     string
	// Allowed says in words which values are, e.g. "at least 0" or "a, b".
	Allowed string
	// Synonym is the broker's config that gives the default, or "".
	Synonym string
	// Note says why the key is accepted without effect; "" if it takes effect.
	Note string
	// Aliases are other vendors' names for it.
	Aliases []string

	// set checks value and, where the key takes effect, assigns it.
	set func(c *Config, value string) error
}

// Check says whether value is legal for the key, in words without the key.
func (d Definition) Check(value string) error {
	var scratch Config
	return d.set(&scratch, value)
}

// Help is the documentation shown to users: Doc and, if there is one, Note.
func (d Definition) Help() string {
	if d.Note == "" {
		return d.Doc
	}
	return d.Doc + " Accepted without effect: " + d.Note
}

// Definitions lists every key: Kafka's first, then ours, each by name. The
// caller owns the result.
func Definitions() []Definition { return slices.Clone(definitions) }

// Lookup finds the definition of a canonical key.
func Lookup(name string) (Definition, bool) {
	for i := range definitions {
		if definitions[i].Name == name {
			return definitions[i], true
		}
	}
	return Definition{}, false
}

// definitions is the table of all keys. It is never written.
var definitions = slices.Concat(kafkaKeys(), withAliases(tarnKeys()))

func (d Definition) synonym(name string) Definition { d.Synonym = name; return d }
func (d Definition) note(why string) Definition     { d.Note = why; return d }

// integer defines a number of at least least; field may be nil.
func integer(name string, kind Kind, value, least int64, field func(*Config) *int64, doc string) Definition {
	most, allowed := int64(math.MaxInt64), fmt.Sprintf("at least %d", least)
	if kind == Int {
		most, allowed = math.MaxInt32, fmt.Sprintf("%d to %d", least, math.MaxInt32)
	}
	d := Definition{Name: name, Kind: kind, Default: strconv.FormatInt(value, 10), Doc: doc, Allowed: allowed}
	d.set = func(c *Config, s string) error {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		if err != nil {
			return errors.New("is not a whole number")
		}
		if n < least || n > most {
			return fmt.Errorf("must be %s", allowed)
		}
		if field != nil {
			*field(c) = n
		}
		return nil
	}
	return d
}

func long(name string, value, least int64, field func(*Config) *int64, doc string) Definition {
	return integer(name, Long, value, least, field, doc)
}

// between defines a number of 32 bits from least to most.
func between(name string, value, least, most int64, field func(*Config) *int64, doc string) Definition {
	d := integer(name, Int, value, least, field, doc)
	d.Allowed = fmt.Sprintf("%d to %d", least, most)
	inner, allowed := d.set, d.Allowed
	d.set = func(c *Config, s string) error {
		if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil && n > most {
			return fmt.Errorf("must be %s", allowed)
		}
		return inner(c, s)
	}
	return d
}

// except refuses one number within the bounds.
func (d Definition) except(not int64) Definition {
	inner := d.set
	d.Allowed = fmt.Sprintf("%s, but not %d", d.Allowed, not)
	d.set = func(c *Config, s string) error {
		if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil && n == not {
			return fmt.Errorf("must not be %d", not)
		}
		return inner(c, s)
	}
	return d
}

// only refuses every value but one, and says why.
func (d Definition) only(value, why string) Definition {
	inner := d.set
	d.Allowed, d.Note = value, why
	d.set = func(c *Config, s string) error {
		if err := inner(c, s); err != nil {
			return err
		}
		if strings.TrimSpace(strings.ToLower(s)) != value {
			return fmt.Errorf("must be %s: %s", value, strings.TrimSuffix(why, "."))
		}
		return nil
	}
	return d
}

// ratio defines a number between 0 and 1.
func ratio(name, value string, field func(*Config) *float64, doc string) Definition {
	return Definition{Name: name, Kind: Double, Default: value, Doc: doc, Allowed: "0 to 1",
		set: func(c *Config, s string) error {
			f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
			if err != nil || !(f >= 0 && f <= 1) {
				return errors.New("must be a number from 0 to 1")
			}
			*field(c) = f
			return nil
		}}
}

// boolean defines true or false in any case, as Kafka reads them.
func boolean(name string, value bool, field func(*Config) *bool, doc string) Definition {
	return Definition{Name: name, Kind: Bool, Default: strconv.FormatBool(value), Doc: doc, Allowed: "true, false",
		set: func(c *Config, s string) error {
			b, err := parseBool(s)
			if err != nil {
				return err
			}
			if field != nil {
				*field(c) = b
			}
			return nil
		}}
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("must be true or false")
}

// choice defines one of several words.
func choice(name, value string, words []string, assign func(*Config, string), doc string) Definition {
	allowed := strings.Join(words, ", ")
	return Definition{Name: name, Kind: String, Default: value, Doc: doc, Allowed: allowed,
		set: func(c *Config, s string) error {
			if !slices.Contains(words, s) {
				return fmt.Errorf("must be one of %s", allowed)
			}
			assign(c, s)
			return nil
		}}
}

// list defines a comma-separated list of some words, each once.
func list(name, value string, words []string, assign func(*Config, []string), doc string) Definition {
	allowed := "a list of " + strings.Join(words, ", ")
	return Definition{Name: name, Kind: List, Default: value, Doc: doc, Allowed: allowed,
		set: func(c *Config, s string) error {
			items := splitList(s)
			for i, it := range items {
				if !slices.Contains(words, it) {
					return fmt.Errorf("%q is not one of %s", it, strings.Join(words, ", "))
				}
				if slices.Contains(items[:i], it) {
					return fmt.Errorf("%q stands there twice", it)
				}
			}
			assign(c, items)
			return nil
		}}
}

// replicas defines a list of replicas, which is kept and not used.
func replicas(name, doc string) Definition {
	return Definition{Name: name, Kind: List, Doc: doc, Allowed: "* or a list of PARTITION:BROKER",
		set: func(_ *Config, s string) error {
			if strings.TrimSpace(s) == "*" {
				return nil
			}
			for _, it := range splitList(s) {
				partition, broker, ok := strings.Cut(it, ":")
				if _, err := strconv.ParseUint(partition+broker, 10, 64); !ok || err != nil || partition == "" || broker == "" {
					return fmt.Errorf("%q is not *, nor a partition and a broker such as 0:1", it)
				}
			}
			return nil
		}}
}

// tidy is a value as it is kept and shown: without the blanks around it, since
// clients compare what they read (Kafka Connect wants "compact", and nothing else).
func (d Definition) tidy(value string) string {
	switch d.Kind {
	case String:
		return value
	case List:
		return strings.Join(splitList(value), ",")
	}
	return strings.TrimSpace(value)
}

// splitList splits at commas and drops blanks, as Kafka's lists do.
func splitList(s string) []string {
	var items []string
	for it := range strings.SplitSeq(s, ",") {
		if it = strings.TrimSpace(it); it != "" {
			items = append(items, it)
		}
	}
	return items
}
