package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/avro/ocf"

	"github.com/tarn-io/tarn/.ci/process"
)

// formats are the table formats under test. For each, liveFiles finds the data
// files as a foreign reader would, without any code of ours.
var formats = []string{"parquet", "delta", "iceberg"}

func liveFiles(ctx context.Context, api *process.API, warehouse, topic, format string) ([]string, error) {
	table := filepath.Join(warehouse, "default", topic, format)
	switch format {
	case "parquet":
		return filepath.Glob(filepath.Join(table, "*.parquet"))
	case "delta":
		return deltaFiles(table)
	default:
		return icebergFiles(ctx, api, warehouse, topic)
	}
}

// deltaFiles replays the commits of a Delta log: add brings a file, remove
// takes it away (Delta protocol, "Actions").
func deltaFiles(table string) ([]string, error) {
	commits, err := filepath.Glob(filepath.Join(table, "_delta_log", "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(commits)
	live := map[string]bool{}
	for n, name := range commits {
		if want := fmt.Sprintf("%020d.json", n); filepath.Base(name) != want {
			return nil, fmt.Errorf("delta log has %s where %s is due", filepath.Base(name), want)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := replay(text, live); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	var out []string
	for path := range live {
		out = append(out, filepath.Join(table, path))
	}
	return out, nil
}

func replay(commit []byte, live map[string]bool) error {
	type file struct {
		Path string `json:"path"`
	}
	lines := bufio.NewScanner(bytes.NewReader(commit))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var action struct {
			Add    *file `json:"add"`
			Remove *file `json:"remove"`
		}
		if err := json.Unmarshal(lines.Bytes(), &action); err != nil {
			return err
		}
		for _, f := range []*file{action.Add, action.Remove} {
			if f == nil {
				continue
			}
			path, err := url.PathUnescape(f.Path)
			if err != nil {
				return err
			}
			if f == action.Remove {
				delete(live, path)
				continue
			}
			if live[path] {
				return fmt.Errorf("%s is added a second time", path)
			}
			live[path] = true
		}
	}
	return lines.Err()
}

// icebergFiles asks the catalog for the table and follows its current snapshot
// to manifest list, manifests and data files (Iceberg spec, "Manifests").
func icebergFiles(ctx context.Context, api *process.API, warehouse, topic string) ([]string, error) {
	var answer struct {
		Metadata struct {
			Current   int64 `json:"current-snapshot-id"`
			Snapshots []struct {
				ID   int64  `json:"snapshot-id"`
				List string `json:"manifest-list"`
			} `json:"snapshots"`
		} `json:"metadata"`
	}
	err := api.Call(ctx, http.MethodGet, "/iceberg/v1/namespaces/default/tables/"+topic, nil, &answer)
	if err != nil {
		return nil, fmt.Errorf("load table from the catalog: %w", err)
	}
	var out []string
	for _, s := range answer.Metadata.Snapshots {
		if s.ID != answer.Metadata.Current {
			continue
		}
		manifests, err := avroRows(local(s.List, warehouse))
		if err != nil {
			return nil, fmt.Errorf("manifest list: %w", err)
		}
		for _, m := range manifests {
			files, err := manifestFiles(m, warehouse)
			if err != nil {
				return nil, err
			}
			out = append(out, files...)
		}
		return out, nil
	}
	return nil, fmt.Errorf("table has no snapshot %d", answer.Metadata.Current)
}

func manifestFiles(manifest map[string]any, warehouse string) ([]string, error) {
	path, _ := manifest["manifest_path"].(string)
	if manifest["content"] == any(int32(1)) {
		return nil, fmt.Errorf("%s holds deletes, but the table only grows", path)
	}
	entries, err := avroRows(local(path, warehouse))
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e["status"] == any(int32(2)) { // deleted
			continue
		}
		file, _ := e["data_file"].(map[string]any)
		name, ok := file["file_path"].(string)
		if !ok {
			return nil, fmt.Errorf("%s has an entry without a file", path)
		}
		out = append(out, local(name, warehouse))
	}
	return out, nil
}

// avroRows reads an Avro object container file.
func avroRows(location string) ([]map[string]any, error) {
	b, err := os.ReadFile(location)
	if err != nil {
		return nil, err
	}
	rd, err := ocf.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", location, err)
	}
	defer rd.Close()
	var out []map[string]any
	for {
		var row any
		err := rd.Decode(&row)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", location, err)
		}
		fields, ok := row.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s holds %T and not records", location, row)
		}
		out = append(out, fields)
	}
}

// local turns a file URL, or one of the bucket whose folder the warehouse is,
// into a path.
func local(location, warehouse string) string {
	if key, ok := strings.CutPrefix(location, bucketTables+"/"); ok {
		return filepath.Join(warehouse, filepath.FromSlash(key))
	}
	rest, ok := strings.CutPrefix(location, "file://")
	if !ok {
		return location
	}
	if path, err := url.PathUnescape(rest); err == nil {
		return path
	}
	return rest
}

// compareTable reads a table's live files and holds their rows against the
// log: each record once, as itself, and nothing else.
func compareTable(ctx context.Context, files []string, log copyLog) error {
	seen := make([][]bool, len(log))
	for part, ids := range log {
		seen[part] = make([]bool, len(ids))
	}
	for _, name := range files {
		rows, err := readRows(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		for _, r := range rows {
			if int(r.partition) >= len(log) || r.offset >= int64(len(log[r.partition])) {
				return fmt.Errorf("%s holds partition %d offset %d, which the log does not", filepath.Base(name), r.partition, r.offset)
			}
			if seen[r.partition][r.offset] {
				return fmt.Errorf("%s holds partition %d offset %d, which is there already", filepath.Base(name), r.partition, r.offset)
			}
			seen[r.partition][r.offset] = true
			if want := log[r.partition][r.offset]; r.id != want {
				return fmt.Errorf("%s: partition %d offset %d is %s, in the log %s", filepath.Base(name), r.partition, r.offset, r.id, want)
			}
		}
	}
	for part, offsets := range seen {
		if at := slices.Index(offsets, false); at >= 0 {
			return fmt.Errorf("partition %d offset %d is in the log and not in the table", part, at)
		}
	}
	return nil
}

// debris lists temporary files in the tables, which a reader's glob must not
// find.
func debris(warehouse string) ([]string, error) {
	var out []string
	root := filepath.Join(warehouse, "default")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() && strings.Contains(d.Name(), "tmp") {
			out = append(out, path)
		}
		return err
	})
	return out, err
}
