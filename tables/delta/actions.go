package delta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/tables"
)

// action is one line of a commit (protocol, "Actions"): one member is set.
// Actions and members that are not here are ignored.
type action struct {
	CommitInfo *commitInfo `json:"commitInfo,omitempty"`
	Protocol   *protocol   `json:"protocol,omitempty"`
	MetaData   *metaData   `json:"metaData,omitempty"`
	Txn        *txn        `json:"txn,omitempty"`
	Add        *add        `json:"add,omitempty"`
	Remove     *remove     `json:"remove,omitempty"`
}

// commitInfo is for people, but for TxnID, by which a writer knows its own
// commit.
type commitInfo struct {
	Timestamp           int64          `json:"timestamp"`
	Operation           string         `json:"operation"`
	OperationParameters map[string]any `json:"operationParameters"`
	IsBlindAppend       bool           `json:"isBlindAppend"`
	OperationMetrics    map[string]any `json:"operationMetrics,omitempty"`
	UserMetadata        string         `json:"userMetadata,omitempty"`
	EngineInfo          string         `json:"engineInfo"`
	TxnID               string         `json:"txnId,omitempty"`
}

type protocol struct {
	MinReaderVersion int32    `json:"minReaderVersion"`
	MinWriterVersion int32    `json:"minWriterVersion"`
	ReaderFeatures   []string `json:"readerFeatures,omitempty"`
	WriterFeatures   []string `json:"writerFeatures,omitempty"`
}

type metaData struct {
	ID               string            `json:"id"`
	Name             string            `json:"name,omitempty"`
	Description      string            `json:"description,omitempty"`
	Format           formatSpec        `json:"format"`
	SchemaString     string            `json:"schemaString"`
	PartitionColumns []string          `json:"partitionColumns"`
	Configuration    map[string]string `json:"configuration"`
	CreatedTime      int64             `json:"createdTime"`
}

type formatSpec struct {
	Provider string            `json:"provider"`
	Options  map[string]string `json:"options"`
}

type txn struct {
	AppID       string `json:"appId"`
	Version     int64  `json:"version"`
	LastUpdated int64  `json:"lastUpdated"`
}

type add struct {
	Path             string             `json:"path"` // URL-encoded, relative to the table or absolute
	PartitionValues  map[string]*string `json:"partitionValues"`
	Size             int64              `json:"size"`
	ModificationTime int64              `json:"modificationTime"`
	DataChange       bool               `json:"dataChange"`
	Stats            string             `json:"stats,omitempty"`
	Tags             map[string]*string `json:"tags,omitempty"`
	DeletionVector   json.RawMessage    `json:"deletionVector,omitempty"`

	rows int64 // of Stats, -1 if they do not say
}

type remove struct {
	Path              string `json:"path"`
	DeletionTimestamp int64  `json:"deletionTimestamp"`
	DataChange        bool   `json:"dataChange"`
	Size              int64  `json:"size,omitempty"`
	// ExtendedFileMetadata says that PartitionValues and Size are there. Neither
	// is kept in checkpoints.
	ExtendedFileMetadata bool               `json:"extendedFileMetadata,omitempty"`
	PartitionValues      map[string]*string `json:"partitionValues,omitempty"`
}

// maxActions bounds the actions of one commit file or checkpoint: no table that
// this package keeps in memory has more.
const maxActions = 20_000_000

// encodeActions writes a commit file: a line for each action.
func encodeActions(actions []action) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, a := range actions {
		if err := enc.Encode(a); err != nil {
			return nil, fmt.Errorf("encode action: %w", err)
		}
	}
	return b.Bytes(), nil
}

// decodeActions reads a commit file. Errors are tables.ErrBroken.
func decodeActions(data []byte) ([]action, error) {
	var actions []action
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		var a action
		err := dec.Decode(&a)
		if errors.Is(err, io.EOF) {
			return actions, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", tables.ErrBroken, err)
		}
		if err := a.check(); err != nil {
			return nil, err
		}
		if len(actions) == maxActions {
			return nil, fmt.Errorf("more than %d actions: %w", maxActions, tables.ErrBroken)
		}
		actions = append(actions, a)
	}
}

// check refuses what a replay could not make sense of.
func (a *action) check() error {
	switch {
	case a.Add != nil:
		if a.Add.Path == "" || a.Add.Size < 0 {
			return fmt.Errorf("add of %q with %d bytes: %w", a.Add.Path, a.Add.Size, tables.ErrBroken)
		}
		if dv := a.Add.DeletionVector; len(dv) > 0 && string(dv) != "null" {
			return fmt.Errorf("%w: a deletion vector takes rows out of its file %s; %s", tables.ErrFeature, a.Add.Path, withoutVectors)
		}
		a.Add.rows = rowsOf(a.Add.Stats)
	case a.Remove != nil && a.Remove.Path == "":
		return fmt.Errorf("remove without path: %w", tables.ErrBroken)
	case a.Txn != nil && a.Txn.AppID == "":
		return fmt.Errorf("txn without appId: %w", tables.ErrBroken)
	case a.Protocol != nil:
		return a.Protocol.check()
	}
	return nil
}

// rowsOf reads the row count of an add's statistics, -1 if there is none.
func rowsOf(stats string) int64 {
	var s struct {
		NumRecords *int64 `json:"numRecords"`
	}
	if stats == "" || json.Unmarshal([]byte(stats), &s) != nil || s.NumRecords == nil {
		return -1
	}
	return *s.NumRecords
}

// The table features that this package knows (protocol, "Table Features").
const (
	featureAppendOnly = "appendOnly"
	featureInvariants = "invariants"
	featureNtz        = "timestampNtz"
	featureWidening   = "typeWidening"
)

// check refuses tables that need more than this package does.
func (p *protocol) check() error {
	unknown := func(features []string, known ...string) string {
		for _, f := range features {
			if !slices.Contains(known, f) {
				return f
			}
		}
		return ""
	}
	if r := p.MinReaderVersion; r != 1 && r != 3 {
		return fmt.Errorf("%w: its protocol asks for reader version %d; %s", tables.ErrFeature, r, backTo)
	}
	if w := p.MinWriterVersion; w != 1 && w != 2 && w != 7 {
		return fmt.Errorf("%w: its protocol asks for writer version %d; %s", tables.ErrFeature, w, backTo)
	}
	if f := unknown(p.ReaderFeatures, featureNtz, featureWidening); f != "" {
		return missing("reader", f)
	}
	if f := unknown(p.WriterFeatures, featureNtz, featureWidening, featureAppendOnly, featureInvariants); f != "" {
		return missing("writer", f)
	}
	return nil
}

// What to do about tables that others have changed.
const (
	withoutVectors = "take deletion vectors out of the table by who wrote them (ALTER TABLE … SET TBLPROPERTIES ('delta.enableDeletionVectors' = false), " +
		"REORG TABLE … APPLY (PURGE), ALTER TABLE … DROP FEATURE deletionVectors), and restart tarn; until then DuckDB and Spark read the table"
	backTo = "drop the feature that asks for it by who brought it (ALTER TABLE … DROP FEATURE …), and restart tarn; or move the table and its dead letters away, and restart to write it anew from the log"
)

// missing refuses a table that has a feature which this package does not know.
func missing(whose, feature string) error {
	do := backTo
	if feature == "deletionVectors" {
		do = withoutVectors
	}
	return fmt.Errorf("%w: its protocol asks for the %s feature %s; %s", tables.ErrFeature, whose, feature, do)
}

// encodePath makes an add's path of a file name.
func encodePath(name string) string { return (&url.URL{Path: name}).EscapedPath() }

// decodePath returns the blob key of an add's path: relative to base, or an
// absolute URL inside the store.
func decodePath(path, base string, key func(url string) (string, bool)) (string, error) {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return "", fmt.Errorf("path %q: %w: %w", path, tables.ErrBroken, err)
	}
	if !strings.Contains(plain, ":/") && !strings.HasPrefix(plain, "/") {
		return base + plain, nil
	}
	k, ok := key(plain)
	if !ok {
		return "", fmt.Errorf("path %q lies outside the store: %w", path, tables.ErrBroken)
	}
	return k, nil
}
