package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// runFile is what a running broker leaves in its data directory, so that the
// CLI finds it without flags. It also is the line of --ready-json.
type runFile struct {
	PID       int    `json:"pid"`
	Kafka     string `json:"kafka"`
	HTTP      string `json:"http"`            // URL
	Admin     string `json:"admin,omitempty"` // URL, with --admin.listen
	Data      string `json:"data"`
	Warehouse string `json:"warehouse"` // URL
	Version   string `json:"version"`
}

func runFilePath(data string) string { return filepath.Join(data, "run.json") }

// write puts the file in place whole: readers never see half of it.
func (r runFile) write(data string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode run.json: %w", err)
	}
	tmp := runFilePath(data) + ".tmp"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write run.json: %w", err)
	}
	if err := os.Rename(tmp, runFilePath(data)); err != nil {
		return fmt.Errorf("write run.json: %w", err)
	}
	return nil
}

// readRunFile returns false if no broker has left one.
func readRunFile(data string) (runFile, bool, error) {
	b, err := os.ReadFile(runFilePath(data))
	if errors.Is(err, fs.ErrNotExist) {
		return runFile{}, false, nil
	}
	var r runFile
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return runFile{}, false, fmt.Errorf("read %s: %w", runFilePath(data), err)
	}
	return r, true, nil
}
