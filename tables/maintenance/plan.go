// Package maintenance merges the small files of a table into larger ones, and
// drops files whose rows are past their time, through tables.Maintainer: the
// table's commit decides, so a crash leaves files that nothing names and no
// more.
package maintenance

import (
	"math"

	"github.com/tarn-io/tarn/tables"
)

// Bounds of compaction.
const (
	// FanIn is how many files of a level become one. Each byte is rewritten once
	// a level: more files a level mean less work and more files.
	FanIn = 10
	// smallest is where level 1 begins, in bytes: rewriting less a few times more
	// costs nothing worth counting.
	smallest = 64 << 10
	// maxGroup bounds the files of one rewrite.
	maxGroup = 1000
)

// Levels is how many levels a file passes until it has half of target bytes:
// then it is left alone.
func Levels(target int64) int {
	return level(target/2-1) + 1
}

// MaxFiles is the bound that compaction keeps for what is there when it looks:
// this many files of a partition that are smaller than half of target bytes, at
// most.
func MaxFiles(target int64) int { return FanIn*Levels(target) - 1 }

// level of a file: 0 below the smallest size, then one more for each factor of
// FanIn.
func level(size int64) int {
	l := 0
	for at := int64(smallest); size >= at && at < math.MaxInt64/FanIn; at *= FanIn {
		l++
	}
	return l
}

// Plan picks files to be merged: of each partition by itself, see planOne.
func Plan(files []tables.LiveFile, target int64, whole bool) [][]tables.LiveFile {
	parts, order := map[string][]tables.LiveFile{}, []string(nil)
	for _, f := range files {
		if parts[f.Partition] == nil {
			order = append(order, f.Partition)
		}
		parts[f.Partition] = append(parts[f.Partition], f)
	}
	var out [][]tables.LiveFile
	for _, p := range order {
		out = append(out, planOne(parts[p], target, whole)...)
	}
	return out
}

// planOne picks files of one partition, as groups of neighbours that become one file of
// about target bytes at most: runs of FanIn files of one level, or of a mix of
// levels where there are FanIn for each of them. Files of half the target and
// more are left alone. With whole, all that are smaller are merged.
func planOne(files []tables.LiveFile, target int64, whole bool) [][]tables.LiveFile {
	var small []tables.LiveFile
	for _, f := range files {
		if f.Size < target/2 && !f.Deletes {
			small = append(small, f)
		}
	}
	if whole {
		return cut(small, target)
	}
	for l := range Levels(target) {
		if groups := runs(small, l, target); len(groups) > 0 {
			return groups
		}
	}
	return nil
}

// runs finds neighbours of level l and below that are enough to be merged.
func runs(small []tables.LiveFile, l int, target int64) [][]tables.LiveFile {
	var out [][]tables.LiveFile
	from, exact := 0, 0
	end := func(to int) {
		if exact >= FanIn || to-from >= FanIn*(l+1) {
			out = append(out, cut(small[from:to], target)...)
		}
	}
	for i, f := range small {
		switch at := level(f.Size); {
		case at > l:
			end(i)
			from, exact = i+1, 0
		case at == l:
			exact++
		}
	}
	end(len(small))
	return out
}

// cut makes groups of two files and more out of neighbours, each of at most
// target bytes.
func cut(run []tables.LiveFile, target int64) [][]tables.LiveFile {
	var out [][]tables.LiveFile
	from, size := 0, int64(0)
	for i, f := range run {
		if size+f.Size > target || i-from == maxGroup {
			if i-from > 1 {
				out = append(out, run[from:i])
			}
			from, size = i, 0
		}
		size += f.Size
	}
	if len(run)-from > 1 {
		out = append(out, run[from:])
	}
	return out
}
