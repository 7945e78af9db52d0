package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
)

// namespace is one as stored.
type namespace struct {
	item  tables.Item // Version 0 if it has no item
	props iceberg.Properties
}

// namespace reads one; ErrNoSuchNamespace. The default one exists even before it
// has an item, and so does one that others lie below.
func (c *Catalog) namespace(ctx context.Context, ns []string) (namespace, error) {
	if err := checkName(ns, "namespace"); err != nil {
		return namespace{}, fmt.Errorf("%w: %w", ErrNoSuchNamespace, err)
	}
	it, err := c.get(ctx, nsKey(ns))
	if err != nil {
		return namespace{}, err
	}
	n := namespace{tables.Item{Key: nsKey(ns), Version: it.Version}, iceberg.Properties{}}
	if it.Version == 0 {
		if len(ns) == 1 && ns[0] == DefaultNamespace {
			return n, nil
		}
		for _, err := range c.items.Scan(ctx, nsKey(ns)+separator) {
			if err != nil {
				return n, fmt.Errorf("list namespace: %w", err)
			}
			return n, nil
		}
		return n, fmt.Errorf("%w: %s", ErrNoSuchNamespace, strings.Join(ns, "."))
	}
	if err := json.Unmarshal(it.Value, &n.props); err != nil {
		return n, fmt.Errorf("properties of namespace %s: %w: %w", strings.Join(ns, "."), tables.ErrBroken, err)
	}
	return n, nil
}

// touch is the write that keeps a namespace from being dropped beside a change
// in it.
func (n namespace) touch() tables.Item {
	it := n.item
	it.Value = encodeJSON(n.props)
	return it
}

// CreateNamespace makes a namespace. Parents need not exist. Errors:
// ErrNamespaceAlreadyExists, ErrInvalid, ErrUnknown.
func (c *Catalog) CreateNamespace(ctx context.Context, ns Identifier, props iceberg.Properties) error {
	if err := checkName(ns, "namespace"); err != nil {
		return err
	}
	switch _, err := c.namespace(ctx, ns); {
	case err == nil:
		return fmt.Errorf("%w: %s", ErrNamespaceAlreadyExists, strings.Join(ns, "."))
	case !errors.Is(err, ErrNoSuchNamespace):
		return err
	}
	if props == nil {
		props = iceberg.Properties{}
	}
	noteBody(ctx, namespaceBody{ns, props})
	err := c.put(ctx, nil, tables.Item{Key: nsKey(ns), Value: encodeJSON(props)})
	if errors.Is(err, tables.ErrItemConflict) {
		return fmt.Errorf("%w: %s", ErrNamespaceAlreadyExists, strings.Join(ns, "."))
	}
	return err
}

// DropNamespace drops an empty namespace. Errors: ErrNoSuchNamespace,
// ErrNamespaceNotEmpty, ErrInvalid for the default one, ErrUnknown.
func (c *Catalog) DropNamespace(ctx context.Context, ns Identifier) error {
	n, err := c.namespace(ctx, ns)
	if err != nil {
		return err
	}
	if len(ns) == 1 && ns[0] == DefaultNamespace {
		return fmt.Errorf("%w: namespace %s is always there", ErrInvalid, DefaultNamespace)
	}
	for _, prefix := range []string{tablesOf(ns), nsKey(ns) + separator} {
		for _, err := range c.items.Scan(ctx, prefix) {
			if err != nil {
				return fmt.Errorf("list namespace: %w", err)
			}
			return fmt.Errorf("%w: %s", ErrNamespaceNotEmpty, strings.Join(ns, "."))
		}
	}
	it := n.item
	it.Delete = true
	err = c.put(ctx, nil, it)
	if errors.Is(err, tables.ErrItemConflict) {
		return fmt.Errorf("%w: %s changed meanwhile", ErrNamespaceNotEmpty, strings.Join(ns, "."))
	}
	return err
}

// CheckNamespaceExists reports whether there is such a namespace.
func (c *Catalog) CheckNamespaceExists(ctx context.Context, ns Identifier) (bool, error) {
	_, err := c.namespace(ctx, ns)
	if errors.Is(err, ErrNoSuchNamespace) {
		return false, nil
	}
	return err == nil, err
}

// ListNamespaces lists the namespaces right below parent, or the top ones, in
// order. Error: ErrNoSuchNamespace for the parent.
func (c *Catalog) ListNamespaces(ctx context.Context, parent Identifier) ([]Identifier, error) {
	prefix, names := nsPrefix, map[string]bool{}
	if len(parent) > 0 {
		if _, err := c.namespace(ctx, parent); err != nil {
			return nil, err
		}
		prefix = nsKey(parent) + separator
	} else {
		names[DefaultNamespace] = true
	}
	for it, err := range c.items.Scan(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list namespaces: %w", err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(it.Key, prefix), separator)
		names[name] = true
	}
	out := make([]Identifier, 0, len(names))
	for name := range names {
		out = append(out, append(slices.Clone(parent), name))
	}
	slices.SortFunc(out, slices.Compare)
	return out, nil
}

// LoadNamespaceProperties returns a namespace's properties, never nil.
func (c *Catalog) LoadNamespaceProperties(ctx context.Context, ns Identifier) (iceberg.Properties, error) {
	n, err := c.namespace(ctx, ns)
	if err != nil {
		return nil, err
	}
	return n.props, nil
}

// ErrOverlap is refused: a property was to be both removed and updated.
var ErrOverlap = fmt.Errorf("%w: property both removed and updated", ErrInvalid)

// UpdateNamespaceProperties removes and sets properties in one step. Errors:
// ErrNoSuchNamespace, ErrOverlap, ErrUnknown.
func (c *Catalog) UpdateNamespaceProperties(
	ctx context.Context, ns Identifier, removals []string, updates iceberg.Properties,
) (PropertiesSummary, error) {
	for _, key := range removals {
		if _, ok := updates[key]; ok {
			return PropertiesSummary{}, fmt.Errorf("%w: %s", ErrOverlap, key)
		}
	}
	var err error
	for range maxTries {
		var n namespace
		if n, err = c.namespace(ctx, ns); err != nil {
			return PropertiesSummary{}, err
		}
		sum := PropertiesSummary{Removed: []string{}, Updated: []string{}, Missing: []string{}}
		for _, key := range removals {
			if _, ok := n.props[key]; ok {
				delete(n.props, key)
				sum.Removed = append(sum.Removed, key)
			} else {
				sum.Missing = append(sum.Missing, key)
			}
		}
		for key, value := range updates {
			if have, ok := n.props[key]; !ok || have != value {
				n.props[key] = value
				sum.Updated = append(sum.Updated, key)
			}
		}
		slices.Sort(sum.Updated)
		noteBody(ctx, sum)
		if err = c.put(ctx, nil, n.touch()); !errors.Is(err, tables.ErrItemConflict) {
			return sum, err
		}
	}
	return PropertiesSummary{}, fmt.Errorf("%w: %w", ErrCommitFailed, err)
}
