// Package parquet writes and reads the Parquet files of all table formats, and
// is itself the plainest of them: a folder in which *.parquet is exactly the
// live rows, with a numbered manifest log beside it that holds progress. The
// log's format is in README.md.
package parquet
