package catalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/metadata"
)

// settleTimeout bounds the look at the store that tells whether a write whose
// answer was lost has happened, when the caller's context is already over.
const settleTimeout = 5 * time.Second

// CommitTable checks the requirements against the table, applies the updates,
// and makes the result current: all of it or nothing, durable on return. With
// an assert-create requirement it makes the table. Requirements that bring their
// own Holds are asked at the same moment as the others.
//
// Errors: ErrCommitFailed (a requirement does not hold, or another writer
// won each of several tries), ErrNoSuchTable, ErrNoSuchNamespace,
// ErrInvalid: refused, nothing happened. ErrUnknown: it may have happened.
// Anything else happened before the decisive write, so nothing came of it.
func (c *Catalog) CommitTable(
	ctx context.Context, ident Identifier, reqs []metadata.Requirement, updates []metadata.Update,
) (*metadata.Table, string, error) {
	done, err := c.commit(ctx, []Change{{Identifier: ident, Requirements: reqs, Updates: updates}})
	if err != nil {
		return nil, "", err
	}
	return done[0].meta, done[0].location, nil
}

// Asks says that requirements of the caller's own are asked at the moment of the
// commit.
func (c *Catalog) Asks() bool { return true }

// CommitTransaction commits changes to several tables, all or none, with the
// errors of CommitTable.
func (c *Catalog) CommitTransaction(ctx context.Context, commits []Change) error {
	_, err := c.commit(ctx, commits)
	return err
}

// staged is a table's next state, not yet current.
type staged struct {
	from     loaded
	meta     *metadata.Table
	location string // URL of its metadata file
	same     bool   // the updates changed nothing
}

func (c *Catalog) commit(ctx context.Context, changes []Change) ([]staged, error) {
	if err := checkChanges(changes); err != nil {
		return nil, err
	}
	for lost := range maxTries {
		if err := pause(ctx, lost); err != nil {
			return nil, err
		}
		next, items, err := c.stage(ctx, changes)
		if err != nil {
			c.discard(ctx, next)
			return nil, err
		}
		noteTable(ctx, next[0].from.ident, next[0].meta.UUID, next[0].location)
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
	return nil, fmt.Errorf("%w: other writers won %d times", ErrCommitFailed, maxTries)
}

// pause lets some time pass after a race was lost, at random and the more the more
// were: many tables that are made at once all want the item of their namespace, and
// would else meet again each time.
func pause(ctx context.Context, lost int) error {
	if lost == 0 {
		return nil
	}
	timer := time.NewTimer(rand.N(time.Millisecond << min(lost, maxPause)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func checkChanges(changes []Change) error {
	if len(changes) == 0 {
		return fmt.Errorf("%w: commit list must not be empty", ErrInvalid)
	}
	seen := make(map[string]bool, len(changes))
	for _, ch := range changes {
		if err := checkTable(ch.Identifier); err != nil {
			return fmt.Errorf("%w: %w", ErrNoSuchTable, err)
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
func (c *Catalog) stage(ctx context.Context, changes []Change) (next []staged, items []tables.Item, err error) {
	touched := make(map[string]bool)
	for _, ch := range changes {
		from, err := c.load(ctx, ch.Identifier)
		if err != nil {
			return next, nil, err
		}
		if from.item.Version == 0 {
			ns, err := c.namespace(ctx, namespaceOfTable(ch.Identifier))
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
		it.Value = encodeJSON(pointer{st.location, st.meta.Location, from.ptr.Owned || from.item.Version == 0})
		items = append(items, it)
	}
	return next, items, nil
}

func (c *Catalog) stageOne(ctx context.Context, from loaded, ch Change) (staged, error) {
	creates := slices.ContainsFunc(ch.Requirements, func(r metadata.Requirement) bool { return r.Type == metadata.AssertCreate })
	if from.meta == nil && !creates {
		return staged{}, fmt.Errorf("%w: %s", ErrNoSuchTable, strings.Join(from.ident, "."))
	}
	for _, r := range ch.Requirements {
		if err := r.Check(from.meta); err != nil {
			if r.Holds != nil {
				err = fmt.Errorf("%w: %w", ErrCommitFailed, err)
			}
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
	if from.meta == nil || st.meta.Location != from.meta.Location {
		if err := c.checkLocation(from.ident, st.meta.Location); err != nil {
			return st, err
		}
	}
	st.location, err = c.writeMetadata(ctx, from.ptr.Metadata, st.meta)
	return st, err
}

// apply returns the metadata after the updates; same says that they did
// nothing. Errors are ErrInvalid.
func (c *Catalog) apply(from loaded, updates []metadata.Update) (meta *metadata.Table, same bool, err error) {
	defer recovered(&err)
	if from.meta == nil {
		updates = c.firstUpdates(from.ident, updates)
	}
	meta, err = metadata.Apply(from.meta, from.ptr.Metadata, updates)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return meta, meta == from.meta, nil
}

// firstUpdates are those of a table that a commit makes: what its maker need
// not say comes first, so that the updates override it.
func (c *Catalog) firstUpdates(ident Identifier, updates []metadata.Update) []metadata.Update {
	id := uuid.New()
	return append([]metadata.Update{
		{Action: metadata.AssignUUID, UUID: id.String()},
		{Action: metadata.SetLocation, Location: c.newLocation(ident, id)},
		{Action: metadata.SetProperties, Updates: c.withDefaults(nil)},
	}, updates...)
}

// put writes the items, and with them the outcome of a request that has a key.
// landed tells whether they are there when the store
// cannot; nil if nothing can. Errors: tables.ErrItemConflict (nothing
// happened), else ErrUnknown.
func (c *Catalog) put(ctx context.Context, landed func(context.Context) bool, items ...tables.Item) error {
	rc := pending(ctx)
	if rc != nil {
		items = append(slices.Clip(items), rc.item())
	}
	err := c.items.Put(ctx, items...)
	if err != nil && landed != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		defer cancel()
		if landed(ctx) {
			err = nil
		}
	}
	if err == nil {
		if rc != nil {
			rc.kept = true
		}
		return nil
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
		return current(now, st.location)
	}
	return false
}

// current reports whether a metadata file is or was a table's current one.
func current(now loaded, location string) bool {
	return now.ptr.Metadata == location || slices.ContainsFunc(now.meta.MetadataLog,
		func(e metadata.FileEntry) bool { return e.File == location })
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
