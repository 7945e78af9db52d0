package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	icecat "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
)

// settleTimeout bounds the look at the store that tells whether a write whose
// answer was lost has happened, when the caller's context is already over.
const settleTimeout = 5 * time.Second

// CommitTable checks the requirements against the table, applies the updates,
// and makes the result current: all of it or nothing, durable on return. With
// an assert-create requirement it makes the table. Requirements of types that
// Iceberg does not know are asked through their own Validate, at the same
// moment as the others.
//
// Errors: table.ErrCommitFailed (a requirement does not hold, or another writer
// won each of several tries), icecat.ErrNoSuchTable, icecat.ErrNoSuchNamespace,
// ErrInvalid: refused, nothing happened. ErrUnknown: it may have happened.
// Anything else happened before the decisive write, so nothing came of it.
func (c *Catalog) CommitTable(
	ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update,
) (table.Metadata, string, error) {
	done, err := c.commit(ctx, []table.TableCommit{{Identifier: ident, Requirements: reqs, Updates: updates}})
	if err != nil {
		return nil, "", err
	}
	return done[0].meta, done[0].location, nil
}

// CommitTransaction commits changes to several tables, all or none, with the
// errors of CommitTable.
func (c *Catalog) CommitTransaction(ctx context.Context, commits []table.TableCommit) error {
	_, err := c.commit(ctx, commits)
	return err
}

// staged is a table's next state, not yet current.
type staged struct {
	from     loaded
	meta     table.Metadata
	location string // URL of its metadata file
	same     bool   // the updates changed nothing
}

func (c *Catalog) commit(ctx context.Context, changes []table.TableCommit) ([]staged, error) {
	if err := checkChanges(changes); err != nil {
		return nil, err
	}
	for range maxTries {
		next, items, err := c.stage(ctx, changes)
		if err != nil {
			c.discard(ctx, next)
			return nil, err
		}
		if len(items) == 0 {
			return next, nil
		}
		err = c.put(ctx, func(ctx context.Context) bool { return c.landed(ctx, next) }, items...)
		switch {
		case err == nil:
			c.publish(ctx, next)
			return next, nil
		case !errors.Is(err, tables.ErrItemConflict):
			return nil, err
		}
		c.discard(ctx, next)
	}
	return nil, fmt.Errorf("%w: other writers won %d times", table.ErrCommitFailed, maxTries)
}

func checkChanges(changes []table.TableCommit) error {
	if len(changes) == 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, icecat.ErrEmptyCommitList)
	}
	seen := make(map[string]bool, len(changes))
	for _, ch := range changes {
		if err := checkTable(ch.Identifier); err != nil {
			return fmt.Errorf("%w: %w", icecat.ErrNoSuchTable, err)
		}
		key := tableKey(ch.Identifier)
		if seen[key] {
			return fmt.Errorf("%w: table %s stands twice", ErrInvalid, strings.Join(ch.Identifier, "."))
		}
		seen[key] = true
	}
	return nil
}

// stage builds the next state of every table and writes its metadata file. The
// items make it current. On an error, what was staged so far is returned too.
func (c *Catalog) stage(ctx context.Context, changes []table.TableCommit) (next []staged, items []tables.Item, err error) {
	touched := make(map[string]bool)
	for _, ch := range changes {
		from, err := c.load(ctx, ch.Identifier)
		if err != nil {
			return next, nil, err
		}
		if from.item.Version == 0 {
			ns, err := c.namespace(ctx, icecat.NamespaceFromIdent(ch.Identifier))
			if err != nil {
				return next, nil, err
			}
			if !touched[ns.item.Key] {
				touched[ns.item.Key] = true
				items = append(items, ns.touch())
			}
		}
		st, err := c.stageOne(ctx, from, ch)
		if err != nil {
			return next, nil, err
		}
		next = append(next, st)
		if st.same {
			continue
		}
		it := from.item
		it.Value = encodeJSON(pointer{st.location, st.meta.Location(), from.ptr.Owned || from.item.Version == 0})
		items = append(items, it)
	}
	return next, items, nil
}

func (c *Catalog) stageOne(ctx context.Context, from loaded, ch table.TableCommit) (staged, error) {
	creates := slices.ContainsFunc(ch.Requirements, isAssertCreate)
	if from.meta == nil && !creates {
		return staged{}, fmt.Errorf("%w: %s", icecat.ErrNoSuchTable, strings.Join(from.ident, "."))
	}
	for _, r := range ch.Requirements {
		if err := checkRequirement(from.meta, r); err != nil {
			return staged{}, err
		}
	}
	st := staged{from: from}
	var err error
	if st.meta, st.same, err = c.apply(from, ch.Updates); err != nil {
		return st, err
	}
	if st.same {
		st.location = from.ptr.Metadata
		return st, nil
	}
	if from.meta == nil || st.meta.Location() != from.meta.Location() {
		if err := c.checkLocation(from.ident, st.meta.Location()); err != nil {
			return st, err
		}
	}
	st.location, err = c.writeMetadata(ctx, from.ptr.Metadata, st.meta)
	return st, err
}

// apply returns the metadata after the updates; same says that they did
// nothing. Errors are ErrInvalid.
func (c *Catalog) apply(from loaded, updates []table.Update) (meta table.Metadata, same bool, err error) {
	defer recovered(&err)
	var b *table.MetadataBuilder
	if from.meta == nil {
		b, updates, err = c.newBuilder(from.ident, updates)
	} else {
		b, err = table.MetadataBuilderFromBase(from.meta, from.ptr.Metadata)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for _, u := range updates {
		if err := u.Apply(b); err != nil {
			return nil, false, fmt.Errorf("%w: %s: %w", ErrInvalid, u.Action(), err)
		}
	}
	if from.meta != nil && !b.HasChanges() {
		return from.meta, true, nil
	}
	meta, err = b.Build()
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return meta, false, nil
}

// newBuilder starts a table that a commit makes: what its maker need not say
// comes first, so that the updates override it.
func (c *Catalog) newBuilder(ident table.Identifier, updates []table.Update) (*table.MetadataBuilder, []table.Update, error) {
	version := defaultFormatVersion
	for _, u := range updates {
		if u.Action() == table.UpdateUpgradeFormatVersion {
			w, err := updateWire(u)
			if err != nil {
				return nil, nil, err
			}
			version = w.FormatVersion
		}
	}
	b, err := table.NewMetadataBuilder(version)
	if err != nil {
		return nil, nil, err
	}
	first, id := []table.Update{}, uuid.New()
	if !slices.ContainsFunc(updates, func(u table.Update) bool { return u.Action() == table.UpdateAssignUUID }) {
		first = append(first, table.NewAssignUUIDUpdate(id))
	}
	if !slices.ContainsFunc(updates, func(u table.Update) bool { return u.Action() == table.UpdateSetLocation }) {
		first = append(first, table.NewSetLocationUpdate(c.newLocation(ident, id)))
	}
	first = append(first, table.NewSetPropertiesUpdate(c.withDefaults(nil)))
	return b, append(first, updates...), nil
}

// put writes the items. landed tells whether they are there when the store
// cannot; nil if nothing can. Errors: tables.ErrItemConflict (nothing
// happened), else ErrUnknown.
func (c *Catalog) put(ctx context.Context, landed func(context.Context) bool, items ...tables.Item) error {
	err := c.items.Put(ctx, items...)
	if err == nil {
		return nil
	}
	if landed != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		defer cancel()
		if landed(ctx) {
			return nil
		}
	}
	if errors.Is(err, tables.ErrItemConflict) {
		return err
	}
	return fmt.Errorf("%w: write catalog: %w", ErrUnknown, err)
}

// landed reports whether the staged states became current, even if others have
// followed since. A look at one of them is enough: they land together.
func (c *Catalog) landed(ctx context.Context, next []staged) bool {
	for _, st := range next {
		if st.same {
			continue
		}
		now, err := c.load(ctx, st.from.ident)
		if err != nil || now.meta == nil {
			return false
		}
		if now.ptr.Metadata == st.location {
			return true
		}
		for e := range now.meta.PreviousFiles() {
			if e.MetadataFile == st.location {
				return true
			}
		}
		return false
	}
	return false
}

// publish does what follows a commit and may be lost without harm.
func (c *Catalog) publish(ctx context.Context, next []staged) {
	for _, st := range next {
		if st.same {
			continue
		}
		c.remember(st.from.item.Key, st.location, st.meta)
		c.dropOld(ctx, st.from.meta, st.meta)
	}
}

// discard deletes metadata files that certainly did not become current.
func (c *Catalog) discard(ctx context.Context, next []staged) {
	for _, st := range next {
		if key, ok := c.store.Key(st.location); ok && !st.same && st.location != "" {
			_ = c.store.Delete(context.WithoutCancel(ctx), key)
		}
	}
}

// defaultFormatVersion is the Iceberg format of tables whose maker names none.
const defaultFormatVersion = 2

// wire is what updates carry, as far as the catalog looks into them: their Go
// types are iceberg-go's own.
type wire struct {
	FormatVersion int               `json:"format-version"`
	Snapshot      *table.Snapshot   `json:"snapshot"`
	Updates       map[string]string `json:"updates"`
	Removals      []string          `json:"removals"`
}

func updateWire(u table.Update) (w wire, err error) {
	b, err := json.Marshal(u)
	if err != nil {
		return w, err
	}
	return w, json.Unmarshal(b, &w)
}
