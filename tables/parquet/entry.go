package parquet

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/tables"
)

const (
	logFolder    = "_tarn/"
	stagedFolder = logFolder + "staged/"
	suffix       = ".parquet"

	entryFormat  = "tarn.parquet"
	entryVersion = 1
	// replaceVersion is that of entries that take files out of the table: who
	// does not know them must not read past them.
	replaceVersion = 2
	// entryDigits is the length of an entry's number in its key: int64 in
	// decimal, so that keys sort as numbers do.
	entryDigits = 20
)

// entry is one commit of the manifest log, at <entryDigits>.json; README.md
// describes its JSON.
type entry struct {
	Format   string            `json:"format"`
	Version  int               `json:"version"`
	Number   int64             `json:"number"`
	Commit   string            `json:"commit"`
	TimeMs   int64             `json:"time_ms"`
	Progress tables.Progress   `json:"progress"`
	Schema   *tables.Schema    `json:"schema,omitempty"`
	Comment  string            `json:"comment,omitempty"`
	Remove   []string          `json:"remove,omitempty"` // names; applied before Add
	Add      []liveFile        `json:"add,omitempty"`
	Snapshot *snapshot         `json:"snapshot,omitempty"`
	Summary  map[string]string `json:"summary,omitempty"`
}

// snapshot lists all live files after the entry's own changes.
type snapshot struct {
	Files []liveFile `json:"files"`
}

// liveFile is a data file, by its name in the table's folder.
type liveFile struct {
	Name     string         `json:"name"`
	Size     int64          `json:"size"`
	Rows     int64          `json:"rows"`
	SchemaID int            `json:"schema_id"`
	Ranges   []tables.Range `json:"ranges"`
	// Partition are the values that all its rows have; files of others must not
	// be merged with it.
	Partition []tables.PartitionValue `json:"partition,omitempty"`
}

// partitionWord names the partition, for LiveFile.Partition.
func (f liveFile) partitionWord() string {
	out := ""
	for _, v := range f.Partition {
		value := "null"
		if v.Value != nil {
			value = hex.EncodeToString(v.Value)
		}
		out += v.Name + "=" + value + "/"
	}
	return out
}

func entryKey(prefix string, number int64) string {
	return fmt.Sprintf("%s%0*d.json", prefix, entryDigits, number)
}

// entryNumber is the inverse of entryKey.
func entryNumber(key, prefix string) (int64, bool) {
	digits, ok := strings.CutSuffix(strings.TrimPrefix(key, prefix), ".json")
	if !ok || len(digits) != entryDigits {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && entryKey(prefix, n) == key
}

// decodeEntry reads an entry and checks what the log's replay relies on.
func decodeEntry(data []byte, number int64) (*entry, error) {
	var e entry
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("log entry %d: %w: %w", number, tables.ErrBroken, err)
	}
	switch {
	case e.Format != entryFormat:
		return nil, fmt.Errorf("log entry %d says format %q: %w", number, e.Format, tables.ErrNotOurs)
	case e.Version != entryVersion && e.Version != replaceVersion:
		return nil, fmt.Errorf("log entry %d has version %d, known are %d and %d: %w", number, e.Version, entryVersion, replaceVersion, tables.ErrForeign)
	case e.Number != number:
		return nil, fmt.Errorf("log entry %d calls itself %d: %w", number, e.Number, tables.ErrBroken)
	case e.Snapshot != nil && e.Schema == nil:
		return nil, fmt.Errorf("log entry %d is a snapshot without schema: %w", number, tables.ErrBroken)
	}
	for _, name := range e.Remove {
		if !isFileName(name) {
			return nil, fmt.Errorf("log entry %d removes file %q: %w", number, name, tables.ErrBroken)
		}
	}
	files := e.Add
	if e.Snapshot != nil {
		files = append(files[:len(files):len(files)], e.Snapshot.Files...)
	}
	for _, f := range files {
		if !isFileName(f.Name) || f.Size < 0 || f.Rows < 0 {
			return nil, fmt.Errorf("log entry %d names file %q of %d bytes, %d rows: %w", number, f.Name, f.Size, f.Rows, tables.ErrBroken)
		}
	}
	return &e, nil
}

// isFileName reports whether a name is one that the glob *.parquet matches, and
// shells and readers do not take for hidden.
func isFileName(name string) bool {
	return strings.HasSuffix(name, suffix) && len(name) > len(suffix) &&
		!strings.ContainsAny(name, "/\\\x00") && name[0] != '.' && name[0] != '_'
}
