package catalog

import (
	"errors"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables/metadata"
)

// Errors in the words of iceberg-go's catalogs. All are refusals: nothing
// happened.
var (
	ErrNoSuchTable            = errors.New("table does not exist")
	ErrNoSuchNamespace        = errors.New("namespace does not exist")
	ErrTableAlreadyExists     = errors.New("table already exists")
	ErrNamespaceAlreadyExists = errors.New("namespace already exists")
	ErrNamespaceNotEmpty      = errors.New("namespace is not empty")
	// ErrCommitFailed says that a requirement does not hold, or that other
	// writers won. Load the table and try again.
	ErrCommitFailed = metadata.ErrCommitFailed
)

// Identifier names a namespace, or a table behind its namespace.
type Identifier = []string

func namespaceOfTable(ident Identifier) Identifier {
	if len(ident) == 0 {
		return nil
	}
	return ident[:len(ident)-1]
}

func nameOfTable(ident Identifier) string {
	if len(ident) == 0 {
		return ""
	}
	return ident[len(ident)-1]
}

// Table is a table as it was when it was asked for. It is never changed.
type Table struct {
	Identifier Identifier
	Metadata   *metadata.Table
	// MetadataLocation is the URL of the metadata file, empty while the table
	// is only staged.
	MetadataLocation string
}

// NewTable is what a maker wants of a table beyond its schema. Spec and Order
// refer to the field ids of that schema; nil for none.
type NewTable struct {
	Location   string // empty for one that the catalog chooses
	Spec       *iceberg.PartitionSpec
	Order      *metadata.SortOrder
	Properties iceberg.Properties
}

// Change is what a commit does to one table.
type Change struct {
	Identifier   Identifier
	Requirements []metadata.Requirement
	Updates      []metadata.Update
}

// PropertiesSummary says what became of the properties of a namespace.
type PropertiesSummary struct {
	Removed []string `json:"removed"`
	Updated []string `json:"updated"`
	Missing []string `json:"missing"`
}
