// Package layout puts rows into files as a table's layout asks: it makes
// partition values by Iceberg's transforms, groups rows by them, and sorts the
// rows of a group. It works on Arrow columns and does no I/O.
package layout
