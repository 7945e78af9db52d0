package sink

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
)

const (
	// maxParts bounds the partitions of one cut, and with it the files that one
	// commit writes, each of which costs a request of the store or two: a cut of
	// rows of more is made smaller.
	maxParts = 1000
	// maxPieces bounds the files of one partition in a cut.
	maxPieces = 100
)

// laidOut is a schema with the layout that the topic asks for. A column that is
// not there yet is waited for.
func (s *sink) laidOut(sch *tables.Schema) (*tables.Schema, error) {
	l, err := s.topic.Layout.Bind(sch)
	if err == nil {
		return sch.WithLayout(l)
	}
	if errors.Is(err, layout.ErrColumn) {
		return nil, &stopError{WaitingForSchema, fmt.Errorf("%w: register a schema with such a column, or change tarn.table.partition or tarn.table.sort", err)}
	}
	return nil, err
}

// split groups the rows of a cut by partition. ErrTooMany makes the next cut
// smaller; one that is far from it makes it larger again.
func (s *sink) split(c *cut, rows []arrow.RecordBatch) (*layout.Split, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	split, err := layout.New(rows, c.schema, maxParts)
	switch {
	case errors.Is(err, layout.ErrTooMany):
		s.most = max(maxParts, c.rows/2)
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("put rows into partitions: %w", err)
	case s.most > 0 && split.Parts() < maxParts/2:
		if s.most *= 2; s.most >= s.topic.CommitRows {
			s.most = 0
		}
	}
	return split, nil
}

// placeParts writes the files of a cut, partition by partition, so that the rows
// of only one of them are held beside the cut. On an error none is left.
func (s *sink) placeParts(ctx context.Context, e *entry, to []target, split *layout.Split, ranges []tables.Range) (map[*member][]tables.DataFile, error) {
	out := map[*member][]tables.DataFile{}
	if split == nil {
		return out, nil
	}
	n := 0
	for part := range split.Parts() {
		count := split.Count(part)
		about := tables.DataFile{Ranges: ranges, Partition: split.Values(part), Sorted: split.Sorted()}
		pieces := s.pieces(count)
		for i := range pieces {
			rows, err := split.Rows(part, count*i/pieces, count*(i+1)/pieces)
			if err == nil {
				err = s.placePiece(ctx, to, rows, e.pieceName(n), about, out)
			}
			if err != nil {
				s.removeFiles(ctx, out)
				return nil, err
			}
			n++
		}
	}
	return out, nil
}

// placePiece writes one file for every target and adds it to out.
func (s *sink) placePiece(ctx context.Context, to []target, rows []arrow.RecordBatch, name string, about tables.DataFile, out map[*member][]tables.DataFile) error {
	files, err := s.place(ctx, to, rows, name, about)
	if err != nil {
		return err
	}
	for m, f := range files {
		out[m] = append(out[m], *f)
		if f.Rows >= lookRows {
			s.rowBytes = max(1, float64(f.Size)/float64(f.Rows))
		}
	}
	return nil
}

func (s *sink) removeFiles(ctx context.Context, files map[*member][]tables.DataFile) {
	var paths []string
	for _, list := range files {
		for _, f := range list {
			paths = append(paths, f.Path)
		}
	}
	s.remove(ctx, paths)
}

// pieces is into how many files rows go, to be of about Topic.FileBytes each: by
// what a row took in the last file.
func (s *sink) pieces(rows int64) int64 {
	n := math.Round(s.rowBytes * float64(rows) / float64(s.topic.FileBytes))
	return int64(min(max(1, n), maxPieces, float64(rows)))
}

// pieceName names the nth data file of an entry. The first is named as that of an
// entry with one file is.
func (e *entry) pieceName(n int) string {
	if n == 0 {
		return e.fileName("data")
	}
	return strings.TrimSuffix(e.fileName("data"), ".parquet") + fmt.Sprintf("-%d.parquet", n)
}
