package upsert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/maintenance"
)

const (
	// commitTries bounds how often a commit is worked out anew because somebody
	// else has changed the table meanwhile. The keeper rests between rewrites, so
	// that one more look is enough; others may rewrite at their own pace.
	commitTries = 10
	// removeTimeout bounds the removal of files that are not needed.
	removeTimeout = 10 * time.Second
)

// Upsert is a commit of rows by their key.
type Upsert struct {
	Store blob.Store
	// Key are the columns that make a row's key, at the table's top.
	Key []string
	// Gone is a file with these columns, which holds the keys of rows to be
	// deleted; nil: none. It does not become part of the table.
	Gone *tables.DataFile
}

// Commit makes commit c, whose files hold each key once at most, and takes away
// the rows that had one of their keys, or one of Gone's, before: as one change
// of the table's. Files with such rows are written anew without them. Which they
// are is looked for in the very state that the commit changes; where that is not
// the present one any more it begins again.
//
// Errors are those of tables.Table.Commit, with tables.ErrFile for Gone too;
// tables.ErrUnsupported where delete files of other writers are in the way. A
// file that was written and is not needed is removed; where the outcome is
// unknown it stays, for a sweep if nothing names it.
func (x *Index) Commit(ctx context.Context, t tables.Replacer, c tables.Commit, u Upsert) error {
	want, err := x.wanted(ctx, c, u)
	if err != nil {
		return err
	}
	for range commitTries {
		if err = x.try(ctx, t, c, u, want); !errors.Is(err, tables.ErrMoved) {
			return err
		}
	}
	return fmt.Errorf("%d times in a row: %w", commitTries, err)
}

// wanted are the keys whose rows go.
func (x *Index) wanted(ctx context.Context, c tables.Commit, u Upsert) (Set, error) {
	files := c.Add
	if u.Gone != nil {
		files = append(slices.Clone(files), *u.Gone)
	}
	out := Set{}
	for _, f := range files {
		before := int64(len(out))
		if err := out.add(ctx, x.Hasher, u.Store, f.Path, u.Key); err != nil {
			return nil, err
		}
		if got := int64(len(out)) - before; got != f.Rows {
			return nil, fmt.Errorf("%s holds %d keys of its own, not %d: %w", f.Path, got, f.Rows, tables.ErrFile)
		}
	}
	return out, nil
}

// try works the commit out on the table's present state.
func (x *Index) try(ctx context.Context, t tables.Replacer, c tables.Commit, u Upsert, want Set) error {
	now, err := t.Files(ctx)
	if err != nil {
		return fmt.Errorf("list files: %w", err)
	}
	if !now.Progress.Equal(c.Expect) {
		return fmt.Errorf("table is at %v, not %v: %w", now.Progress.Offsets, c.Expect.Offsets, tables.ErrConflict)
	}
	hits, err := x.Find(ctx, u.Store, now.Live, u.Key, want)
	if errors.Is(err, tables.ErrFile) {
		return fmt.Errorf("%w: %w", tables.ErrMoved, err) // replaced and removed meanwhile
	}
	if err != nil {
		return fmt.Errorf("look for rows to be replaced: %w", err)
	}
	made, err := x.rewrite(ctx, t, &c, u, hits)
	if err != nil {
		discard(ctx, u.Store, made)
		return err
	}
	c.Remove.State = now.State
	if err = t.Commit(ctx, c); err != nil && refused(err) {
		discard(ctx, u.Store, made)
	}
	return err
}

// rewrite writes the files that lose rows anew and puts them into c. made are
// the keys of what it has written, after an error too.
func (x *Index) rewrite(ctx context.Context, t tables.Table, c *tables.Commit, u Upsert, hits []Hit) (made []string, err error) {
	schema := t.Schema()
	if c.Schema != nil {
		schema = c.Schema
	}
	physical, err := t.Physical(schema)
	if err != nil {
		return nil, err
	}
	c.Remove, c.Add = &tables.Removal{}, slices.Clone(c.Add)
	rows := 0
	id := uuid.NewString()
	for i, h := range hits {
		if h.File.Deletes {
			return made, fmt.Errorf("%s may have rows that delete files of another writer take away, who has to apply them: %w", h.File.Key, tables.ErrUnsupported)
		}
		path := t.DataPath(fmt.Sprintf("upsert-%s-%d.parquet", id, i))
		made = append(made, path)
		f, err := maintenance.Without(ctx, u.Store, physical, h.File, h.Rows, path)
		if errors.Is(err, tables.ErrConflict) {
			return made, fmt.Errorf("%w: %w", tables.ErrMoved, err)
		}
		if err != nil {
			return made, err
		}
		if f != nil {
			c.Add = append(c.Add, *f)
		}
		c.Remove.Files = append(c.Remove.Files, h.File.Key)
		rows += len(h.Rows)
	}
	c.Summary = withCounts(c.Summary, rows, len(hits))
	return made, nil
}

func withCounts(summary map[string]string, rows, files int) map[string]string {
	out := map[string]string{"tarn.replaced-rows": strconv.Itoa(rows), "tarn.rewritten-files": strconv.Itoa(files)}
	for k, v := range summary {
		out[k] = v
	}
	return out
}

// refused reports whether an error says that nothing was committed.
func refused(err error) bool {
	for _, is := range []error{tables.ErrConflict, tables.ErrMoved, tables.ErrFile, tables.ErrUnsupported} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// discard removes files that no table has. One that stays is swept.
func discard(ctx context.Context, store blob.Store, keys []string) {
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	_ = store.Delete(ctx, keys...)
}
