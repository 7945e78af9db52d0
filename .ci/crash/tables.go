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

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
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
		return deltaFiles(ctx, table)
	default:
		return icebergFiles(ctx, api, warehouse, topic)
	}
}

// deltaFiles replays the commits of a Delta log: add brings a file, remove
// takes it away (Delta protocol, "Actions"). Where the first commits are cleaned
// up, it begins with a checkpoint.
func deltaFiles(ctx context.Context, table string) ([]string, error) {
	log := filepath.Join(table, "_delta_log")
	commits, err := filepath.Glob(filepath.Join(log, "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(commits)
	live, from := map[string]bool{}, 0
	if len(commits) > 0 && filepath.Base(commits[0]) != versionName(0)+".json" {
		if from, err = replayCheckpoint(ctx, log, live); err != nil {
			return nil, err
		}
		for len(commits) > 0 && filepath.Base(commits[0]) < versionName(from) {
			commits = commits[1:]
		}
	}
	for n, name := range commits {
		if want := versionName(from+n) + ".json"; filepath.Base(name) != want {
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

func versionName(n int) string { return fmt.Sprintf("%020d", n) }

// replayCheckpoint reads the newest classic checkpoint, and returns the version
// that comes after it.
func replayCheckpoint(ctx context.Context, log string, live map[string]bool) (next int, err error) {
	all, err := filepath.Glob(filepath.Join(log, "*.checkpoint.parquet"))
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, errors.New("no checkpoint stands in for the commits that are gone")
	}
	newest := slices.Max(all)
	if _, err := fmt.Sscanf(filepath.Base(newest), "%020d.checkpoint.parquet", &next); err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Base(newest), err)
	}
	_, err = readColumns(ctx, newest, []string{"add.path"}, func(b arrow.RecordBatch) error {
		add, ok := column(b, "add").(*array.Struct)
		if !ok {
			return fmt.Errorf("columns have other types: %s", b.Schema())
		}
		paths, ok := add.Field(0).(*array.String)
		if !ok {
			return fmt.Errorf("columns have other types: %s", b.Schema())
		}
		for i := range paths.Len() {
			if add.IsNull(i) || paths.IsNull(i) {
				continue
			}
			path, err := url.PathUnescape(paths.Value(i))
			if err != nil {
				return err
			}
			live[path] = true
		}
		return nil
	})
	return next + 1, err
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
	if len(answer.Metadata.Snapshots) == 0 {
		return nil, nil // made, and nothing is committed yet
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
		return nil, fmt.Errorf("%s holds deletes, and no table has any", path)
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
