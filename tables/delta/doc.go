// Package delta writes Delta Lake tables: an append-only subset of the protocol
// (https://github.com/delta-io/delta/blob/master/PROTOCOL.md), on the Parquet
// files of tables/parquet. Progress lies in the table's own txn actions and
// configuration. What it writes and reads of the protocol is in README.md.
package delta
