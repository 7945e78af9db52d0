package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tarn-io/tarn/broker/storage/sqlite"
)

// backupCmd writes the store of a broker into one file.
type backupCmd struct {
	connect
	File      string `arg:"" type:"path" help:"File to write: a SQLite database, as tarn.db is."`
	Overwrite bool   `help:"Replace the file if it is there."`
}

// Run writes the backup beside its name and renames it when it is checked.
func (c *backupCmd) Run(ctx context.Context, std stdio) error {
	if _, err := os.Stat(c.File); err == nil && !c.Overwrite {
		return fmt.Errorf("%s is there: give another name, or --overwrite", c.File)
	}
	partial := c.File + ".partial"
	out, err := sqlite.NewCopy(ctx, partial)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // Finish has closed it, or it is given up
	var state time.Time
	err = c.parts(ctx, "", nil, func(b []byte) (sqlite.Part, error) {
		p, err := sqlite.DecodePart(b, func(ch sqlite.Change) error { return out.Apply(ctx, ch) })
		state = p.Time
		return p, err
	})
	if err == nil {
		err = out.Finish(ctx, storeViews())
	}
	if err != nil {
		return errors.Join(err, out.Close(), os.Remove(partial))
	}
	return put(std, c.Output, partial, c.File, state)
}

// put gives a checked store its name, and says so.
func put(std stdio, form, partial, name string, state time.Time) error {
	info, err := os.Stat(partial)
	if err == nil {
		err = os.Rename(partial, name)
	}
	if err == nil {
		err = syncDir(filepath.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("put %s in place: %w", name, err)
	}
	return sayStore(std, form, name, "the log", state, info.Size())
}

// sayStore says what a store is.
func sayStore(std stdio, form, name, is string, state time.Time, size int64) error {
	at := state.UTC().Format(time.RFC3339Nano)
	answer := []field{{"file", name}, {"state", at}, {"bytes", size}}
	return (&outputFlag{form}).sayFields(std, answer, fmt.Sprintf("%s: %s as of %s, %d bytes, checked", name, is, at, size))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// parts reads the store: from the file if no broker has it open, else from the
// running broker. query is follow_ms=… or nothing; of, if it is not nil, is told the
// broker's cluster before the first part, and may refuse it.
func (c *connect) parts(ctx context.Context, query string, of func(cluster string) error, emit func([]byte) (sqlite.Part, error)) error {
	path := filepath.Join(c.Data, "tarn.db")
	_, missing := os.Stat(path)
	if c.HTTP == "" && missing == nil && query == "" {
		e, err := sqlite.Open(ctx, sqlite.Config{Path: path})
		if err == nil {
			now := make(chan time.Time)
			close(now)
			err = e.Parts(ctx, now, func(p sqlite.Part) error {
				_, err := emit(p.Bytes)
				return err
			})
			return errors.Join(err, e.Close())
		}
		if !errors.Is(err, sqlite.ErrLocked) {
			return fmt.Errorf("open %s: %w", path, err)
		}
	}
	base, err := c.httpAddress()
	if err != nil && missing != nil && query == "" {
		return fmt.Errorf("%w; there is no store either: %w", err, missing)
	}
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/backup?"+query, nil)
	if err != nil {
		return fmt.Errorf("address %s (--http): %w", base, err)
	}
	c.sign(req)
	web, err := c.httpClient()
	if err != nil {
		return err
	}
	resp, err := web.Do(req)
	if err != nil && missing != nil && query == "" {
		return fmt.Errorf("no broker answers at %s, and there is no store at %s (give --data DIR or --http URL): %w", base, path, err)
	}
	if err != nil {
		return fmt.Errorf("no broker answers at %s: %w", base, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusalOf(resp)
	}
	if cluster := resp.Header.Get(clusterHeader); of != nil && cluster != "" {
		if err := of(cluster); err != nil {
			return err
		}
	}
	return readParts(resp.Body, emit)
}

// refusalOf is the error that an answer over HTTP holds.
func refusalOf(resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return refusal(resp.Request.Method+" "+resp.Request.URL.Path, resp.Status, b)
}
