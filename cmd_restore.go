package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/storage/sqlite"
)

// icebergItems begins the keys under which the catalog keeps where tables are.
const icebergItems = "iceberg/table/"

// restoreCmd makes a data directory from a backup or a replica.
type restoreCmd struct {
	Source    string `arg:"" help:"Backup file, or replica: a directory or s3://BUCKET/PREFIX."`
	At        string `placeholder:"TIME" help:"Of a replica, the last state at or before this time: RFC 3339, or how long ago as 5m. Default: the last one."`
	To        string `required:"" type:"path" placeholder:"DIR" help:"Data directory to make, or an existing one without a log."`
	SameLog   bool   `name:"same-log" help:"The log goes on where it was: nobody has written to it since, and nobody will. Tables go on too. Without it the restored log is another one, and tables that were written from the old one stop as log_replaced."`
	NewTables bool   `name:"new-tables" help:"Forget the tables: they are written anew from what the log holds, into an empty warehouse."`
	DryRun    bool   `help:"Only see whether it can be restored, and what it would hold: the store is put together and checked beside its place, and removed."`
	outputFlag
}

// Run puts the store together beside its name and renames it when it is checked.
func (c *restoreCmd) Run(ctx context.Context, std stdio) error {
	name := filepath.Join(c.To, "tarn.db")
	if _, err := os.Stat(name); err == nil {
		return fmt.Errorf("%s is there: restore into another directory, or move it away", name)
	}
	_, err := os.Stat(c.To)
	made := errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(c.To, 0o755); err != nil {
		return fmt.Errorf("make the data directory (--to): %w", err)
	}
	partial := name + ".partial"
	undo := func() error {
		err := removeIfThere(partial)
		if made {
			_ = os.Remove(c.To) // it was not there before, and stays if something is in it
		}
		return err
	}
	state, err := c.fetch(ctx, partial)
	if err == nil {
		err = sqlite.Forget(ctx, partial, c.forgotten()...)
	}
	tables := false
	if err == nil {
		tables, err = sqlite.Holds(ctx, partial, icebergItems)
	}
	if err == nil {
		err = sqlite.Check(ctx, partial)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("restore %s: %w", c.Source, err), undo())
	}
	if c.DryRun {
		info, err := os.Stat(partial)
		if err = errors.Join(err, undo()); err != nil {
			return err
		}
		return sayStore(std, c.Output, name, "would be the log", state, info.Size())
	}
	if err := put(std, c.Output, partial, name, state); err != nil || !tables {
		return err
	}
	_, err = fmt.Fprintln(std.err, "tarn: its Iceberg tables lie where the old broker wrote them: start the new one with that --warehouse, or restore with --new-tables to have them written anew")
	return err
}

// forgotten are the keys of items that a restored store is to be without.
func (c *restoreCmd) forgotten() []string {
	var out []string
	if !c.SameLog {
		// The broker gives itself a new one, and tables tell the logs apart by it.
		out = append(out, "incarnation")
	}
	if c.NewTables {
		out = append(out, icebergItems, "sink/")
	}
	return out
}

// fetch writes the store to a file, and says of what time it is.
func (c *restoreCmd) fetch(ctx context.Context, to string) (time.Time, error) {
	info, err := os.Stat(c.Source)
	switch {
	case strings.Contains(c.Source, "://"), err == nil && info.IsDir():
		return c.fetchReplica(ctx, to)
	case err != nil:
		return time.Time{}, err
	case c.At != "":
		return time.Time{}, fmt.Errorf("--at: %s is a backup, of one time; give a replica", c.Source)
	}
	if st, err := os.Stat(c.Source + "-wal"); err == nil && st.Size() > 0 {
		return time.Time{}, fmt.Errorf("%s-wal is there: this is no backup, but a store that some program has open or that was not stopped; use tarn backup on it", c.Source)
	}
	return info.ModTime(), copyFile(c.Source, to)
}

func (c *restoreCmd) fetchReplica(ctx context.Context, to string) (time.Time, error) {
	at := time.Now().Add(time.Hour) // clocks of other machines may be ahead
	if c.At != "" {
		var err error
		if at, err = parseAt(c.At, time.Now()); err != nil {
			return time.Time{}, err
		}
	}
	store, err := openReplica(ctx, c.Source, false)
	if err != nil {
		return time.Time{}, err
	}
	parts, err := stateAt(ctx, store, at)
	if err != nil {
		return time.Time{}, err
	}
	out, err := sqlite.NewCopy(ctx, to)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = out.Close() }() // Finish has closed it, or it is given up
	if err := fetchParts(ctx, store, parts, func(ch sqlite.Change) error { return out.Apply(ctx, ch) }); err != nil {
		return time.Time{}, err
	}
	return parts[len(parts)-1].time, out.Finish(ctx, storeViews())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
