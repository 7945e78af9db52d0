package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
)

// tryOpen opens a store that should not open and returns the error.
func tryOpen(t *testing.T, path string) error {
	t.Helper()
	e, err := Open(t.Context(), Config{Path: path})
	if err == nil {
		e.Close()
	}
	return err
}

// edit runs SQL on a closed store.
func edit(t *testing.T, path string, queries ...string) {
	t.Helper()
	db := plain(t, path)
	for _, q := range queries {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// plain opens the file as any SQLite program would.
func plain(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := openDB(path, "", 1)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return db
}

// filled is a closed store with some logs and items.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tarn db?#%.db") // a name that a URI must escape
	e := open(t, path)
	for n := range 3 {
		mustCommit(t, e, appendAt(tpOf(n), 0, 500))
		mustCommit(t, e, appendAt(tpOf(n), 1, 500))
	}
	mustCommit(t, e, storage.Write{Set: []storage.Item{{Key: "topic/a", Value: []byte("x")}}})
	if err := e.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return path
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := open(t, path)
	err := tryOpen(t, path)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("second Open: got %v, want ErrLocked that names process %d", err, os.Getpid())
	}
	if err := e.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := tryOpen(t, path); err != nil {
		t.Errorf("Open after Close: %v", err)
	}
}

func TestRefusedFiles(t *testing.T) {
	tests := []struct {
		name  string
		edits []string
		want  error
		says  string
	}{
		{"newer format", []string{"pragma user_version=2"}, ErrFormat, "format 2"},
		{"no format", []string{"pragma user_version=0"}, ErrFormat, "format 0"},
		{"another program's", []string{"pragma application_id=7"}, ErrFormat, "no store of Tarn"},
		{"rollback journal", []string{"pragma journal_mode=delete"}, ErrFormat, "journal_mode"},
		{"no vacuum", []string{"pragma journal_mode=delete", "pragma auto_vacuum=none", "vacuum", "pragma journal_mode=wal"},
			ErrFormat, "auto_vacuum"},
		{"directory cut", []string{"update chunk set dir = substr(dir, 1, length(dir)-1) where id = 3"},
			storage.ErrBroken, "chunk 3"},
		{"directory emptied", []string{"update chunk set dir = x'' where id = 2"}, storage.ErrBroken, "chunk 2"},
		{"data cut", []string{"update chunk set data = substr(data, 2) where id = 1"}, storage.ErrBroken, "chunk 1"},
		{"chunk twice", []string{"insert into chunk select 100, dir, data from chunk where id = 4"},
			storage.ErrBroken, "chunk 4 too"},
		{"log upside down", []string{`update log set start = "end" + 1 where id = 2`}, storage.ErrBroken, "log 2"},
		{"short topic", []string{"update log set topic = x'00' where id = 2"}, storage.ErrBroken, "log 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filled(t)
			edit(t, path, tt.edits...)
			for range 2 { // a refusal leaves no lock behind
				if err := tryOpen(t, path); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, want %v that says %q", err, tt.want, tt.says)
				}
			}
		})
	}
}

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t, path); !errors.Is(err, storage.ErrBroken) {
		t.Errorf("got %v, want ErrBroken", err)
	}
	if err := tryOpen(t, filepath.Join(t.TempDir(), "no", "folder.db")); err == nil {
		t.Error("a folder that is not there: no error")
	}
}

// TestChunkVanishes removes a chunk under a running engine.
func TestChunkVanishes(t *testing.T) {
	path := filled(t)
	e := open(t, path)
	edit(t, path, "delete from chunk where id = 2", "update chunk set data = x'00' where id = 4")
	if _, err := e.Read(t.Context(), tp0, 1, 100); !errors.Is(err, storage.ErrBroken) {
		t.Errorf("Read of a missing chunk: got %v, want ErrBroken", err)
	}
	if _, err := e.Read(t.Context(), tpOf(1), 1, 100); !errors.Is(err, storage.ErrBroken) {
		t.Errorf("Read of a chunk cut short: got %v, want ErrBroken", err)
	}
	for _, err := range e.Index(t.Context(), tp0, 1) {
		if !errors.Is(err, storage.ErrBroken) {
			t.Errorf("Index of a missing chunk: got %v, want ErrBroken", err)
		}
	}
	if _, err := e.Read(t.Context(), tpOf(2), 0, 100); err != nil {
		t.Errorf("Read of another log: %v", err)
	}
}

// TestOpenToPeople reads the file as anybody may, while the engine runs and
// after it closed.
func TestOpenToPeople(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := open(t, path)
	for i := range int64(3) {
		mustCommit(t, e, appendAt(tpOf(4), i, 500))
	}
	mustCommit(t, e, storage.Write{Set: []storage.Item{{Key: "topic/a", Value: []byte("x")}}})
	check := func() {
		t.Helper()
		db := plain(t, path)
		defer db.Close()
		for q, want := range map[string]string{
			`select topic || ' ' || partition || ' ' || start || ' ' || "end" || ' ' || bytes from partitions`: "01" +
				strings.Repeat("0", 30) + " 4 0 3 1500",
			"select key || ' ' || version || ' ' || bytes from items":   "topic/a 1 1",
			"select count(*) || ' ' || sum(data_bytes) from chunks":     "3 1500",
			"pragma integrity_check":                                    "ok",
			"select count(*) from sqlite_schema where sql like '%-- %'": "4",
		} {
			var got string
			if err := db.QueryRowContext(t.Context(), q).Scan(&got); err != nil || got != want {
				t.Errorf("%s: got %q, %v; want %q", q, got, err, want)
			}
		}
	}
	if err := e.do(func() error { return e.saveEnds(10) }); err != nil {
		t.Fatalf("save bounds: %v", err)
	}
	check()
	if err := e.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there after Close: %v", suffix, err)
		}
	}
	check()
}

// TestPrivate reads the modes of what holds users' secrets.
func TestPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Log("Windows has no modes: nothing to read")
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "tarn.db")
	e := openWith(t, Config{Path: path})
	if err := e.do(func() error { return e.saveEnds(10) }); err != nil {
		t.Fatalf("save bounds: %v", err)
	}
	c, err := NewCopy(t.Context(), filepath.Join(dir, "copy.db"))
	if err != nil {
		t.Fatalf("NewCopy: %v", err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Errorf("close the copy: %v", err)
		}
	}()
	for _, name := range []string{"tarn.db", "tarn.db-wal", "tarn.db-shm", "copy.db"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatalf("stat: %v", err)
		}
		if got := st.Mode().Perm(); got != 0o600 {
			t.Errorf("%s: got mode %o, want 600", name, got)
		}
	}
}

// TestNormal asks for the weaker promise by name.
func TestNormal(t *testing.T) {
	e := openWith(t, Config{Path: filepath.Join(t.TempDir(), "tarn.db"), Synchronous: Normal})
	var level int
	err := e.do(func() error {
		return e.w.conn.QueryRowContext(context.Background(), "pragma synchronous").Scan(&level)
	})
	if err != nil || level != 1 {
		t.Errorf("synchronous: got %d, %v; want 1", level, err)
	}
}
