// Package upsert makes a table one of latest values: a commit brings rows and
// takes away those that had their keys before, in one atomic change, by writing
// the files anew that hold such rows (copy-on-write).
//
// Where a key's row lives is worked out from the table's own live files, in the
// state that the commit changes, each time anew. What is kept in memory are the
// keys of single files, which never change: it can be late or missing, and never
// wrong. There is nothing beside the table that could disagree with it.
package upsert
