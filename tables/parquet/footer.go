package parquet

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

const (
	// maxFooterBound is the longest value that a footer has as a bound, in bytes:
	// arrow-go's own limit for the columns that it measures.
	maxFooterBound = 4096
	// untold stands for a number of nulls that is not known.
	untold = -1
)

// footer is what the file says of one column of texts with a dictionary, in one row
// group. arrow-go would look for the different indices of all rows to find it, and
// would take the empty text for none; here the dictionary is looked at.
type footer struct {
	least, most []byte // nil where there is none, or it is too long
	nulls       int64  // or untold
}

// footerOf looks at the dictionary of a leaf in a row group, or at the texts where
// they had no room in one.
func (l *leaf) footerOf(c *coded, arrays []arrow.ArrayData) footer {
	f := footer{nulls: l.newNulls()}
	if l.boundless {
		return f
	}
	if c != nil {
		arrays = []arrow.ArrayData{c.values}
	}
	b := byteBounds{limit: maxFooterBound}
	for _, d := range arrays {
		a := array.NewStringData(d)
		valid, _ := intersect(nil, a)
		b.add(a, valid)
		a.Release()
	}
	f.least, f.most, _ = b.result()
	return f
}

// newNulls is how many nulls came since it was last asked.
func (l *leaf) newNulls() int64 {
	if l.repeated {
		return untold
	}
	n := l.nulls - l.told
	l.told = l.nulls
	return n
}

// tell writes into the file's footer what is known of leaves with dictionaries, and
// reports whether there are any.
func tell(meta *metadata.FileMetaData, leaves []*leaf) (told bool) {
	for i, l := range leaves {
		if !l.dictionary {
			continue
		}
		for g, f := range l.footers {
			s := made(&meta.FileMetaData.RowGroups[g].Columns[i].MetaData.Statistics)
			if f.nulls != untold {
				s.NullCount = &f.nulls
			}
			if f.least != nil && f.most != nil {
				s.MinValue, s.MaxValue = f.least, f.most
			}
			told = true
		}
	}
	return told
}

// made makes what p points to, of a type that cannot be named here.
func made[T any](p **T) *T {
	*p = new(T)
	return *p
}
