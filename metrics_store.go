package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/meter"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/sqlite"
)

// metricFamily is one metric with its samples, written together as Prometheus'
// text format wants them.
type metricFamily struct {
	name, kind, help string
	samples          []string // labels in braces, or nothing, and the value
}

func (f *metricFamily) add(value any, labels ...string) {
	f.samples = append(f.samples, fmt.Sprintf("%s %v", labelled(labels), value))
}

// addHistogram adds a histogram, as buckets, sum and count.
func (f *metricFamily) addHistogram(s meter.Snapshot, labels ...string) {
	all := labelled(labels)
	for i, bound := range s.Bounds {
		f.samples = append(f.samples, fmt.Sprintf("_bucket%s %d", labelled(append(labels[:len(labels):len(labels)], "le", fmt.Sprint(bound))), s.Below[i]))
	}
	f.samples = append(f.samples,
		fmt.Sprintf("_bucket%s %d", labelled(append(labels[:len(labels):len(labels)], "le", "+Inf")), s.Count),
		fmt.Sprintf("_sum%s %v", all, s.Sum), fmt.Sprintf("_count%s %d", all, s.Count))
}

// labelled writes names and values in braces, or nothing.
func labelled(labels []string) string {
	text := ""
	for i := 0; i+1 < len(labels); i += 2 {
		if text != "" {
			text += ","
		}
		text += labels[i] + "=" + label(labels[i+1])
	}
	if text != "" {
		text = "{" + text + "}"
	}
	return text
}

func writeFamilies(w io.Writer, all ...*metricFamily) {
	for _, f := range all {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
		for _, s := range f.samples {
			fmt.Fprintf(w, "%s%s\n", f.name, s)
		}
	}
}

// writeServer writes what the process and its store are.
func (n *node) writeServer(ctx context.Context, w io.Writer) {
	build := &metricFamily{name: "tarn_build_info", kind: "gauge", help: "1, with the version that runs."}
	build.add(1, "version", version, "goversion", runtime.Version())
	start := &metricFamily{name: "process_start_time_seconds", kind: "gauge", help: "When the broker was started, Unix seconds."}
	start.add(float64(n.startedMs) / 1000)
	rss := &metricFamily{name: "process_resident_memory_bytes", kind: "gauge", help: "What the process has of the machine's memory."}
	if bytes := resident(); bytes > 0 {
		rss.add(bytes)
	}
	clients := &metricFamily{name: "tarn_kafka_connections", kind: "gauge", help: "Connections of Kafka clients."}
	clients.add(len(n.broker.Clients()))
	disk := &metricFamily{name: "tarn_disk_free_bytes", kind: "gauge", help: "What is free on the volume of the data directory."}
	if _, free := diskSpace(n.cmd.Data); free >= 0 {
		disk.add(free)
	}
	writeFamilies(w, build, start, rss, clients, disk)
	writeRuntime(w)
	n.metered.write(w)
	writeStore(ctx, w, n.engine)
}

// writeStore writes the size of the store, if it is a file.
func writeStore(ctx context.Context, w io.Writer, engine storage.Engine) {
	e, ok := engine.(interface {
		Stats(ctx context.Context) (sqlite.Stats, error)
	})
	if !ok {
		return
	}
	s, err := e.Stats(ctx)
	if err != nil {
		return // about to close; the next scrape will see
	}
	for _, m := range []struct {
		name, help string
		value      int64
	}{
		{"tarn_storage_file_bytes", "Size of the database file.", s.FileBytes},
		{"tarn_storage_free_bytes", "What of the database file is free for reuse.", s.FreeBytes},
		{"tarn_storage_live_bytes", "Record batches that logs need.", s.LiveBytes},
		{"tarn_storage_dead_bytes", "Record batches that wait to be deleted.", s.DeadBytes},
		{"tarn_storage_wal_bytes", "Size of the write-ahead log; it grows while another program holds a transaction open.", s.WALBytes},
	} {
		f := &metricFamily{name: m.name, kind: "gauge", help: m.help}
		f.add(m.value)
		writeFamilies(w, f)
	}
}

// writeKafka writes topics and groups, by our names and by those of
// kafka_exporter, for which dashboards and alerts are there.
func (n *node) writeKafka(ctx context.Context, w io.Writer) {
	brokers := &metricFamily{name: "kafka_brokers", kind: "gauge", help: "Brokers; there is one."}
	brokers.add(1)
	partitions := &metricFamily{name: "kafka_topic_partitions", kind: "gauge", help: "Partitions of a topic."}
	current := &metricFamily{name: "kafka_topic_partition_current_offset", kind: "gauge", help: "Where a partition ends."}
	oldest := &metricFamily{name: "kafka_topic_partition_oldest_offset", kind: "gauge", help: "Where a partition begins."}
	bytes := &metricFamily{name: "tarn_storage_bytes", kind: "gauge", help: "Stored record batches of a topic."}
	for _, t := range n.broker.Topics().View().All() {
		partitions.add(t.Partitions, "topic", t.Name)
		size := int64(0)
		for p := range t.Partitions {
			b, err := n.engine.Bounds(ctx, storage.TP{Topic: t.ID, Partition: p})
			if err != nil {
				b = storage.Bounds{} // nothing was ever produced to it
			}
			part := fmt.Sprint(p)
			current.add(b.End, "topic", t.Name, "partition", part)
			oldest.add(b.Start, "topic", t.Name, "partition", part)
			size += b.Bytes
		}
		bytes.add(size, "topic", t.Name)
	}
	writeFamilies(w, brokers, partitions, current, oldest, bytes)
	n.writeGroups(ctx, w, n.broker.Groups().Groups())
}

// maxGroupSamples bounds the partitions of all groups in one answer: beyond, there
// are sums by topic only, which is what alerts look at.
const maxGroupSamples = 20_000

// maxLagLooks bounds the partitions of which one answer reads records to tell lag in
// time; a look is two reads, some tens of microseconds each. Groups beyond have their
// lag in records only.
const maxLagLooks = 2_000

func (n *node) writeGroups(ctx context.Context, w io.Writer, groups []group.Summary) {
	members := &metricFamily{name: "tarn_group_members", kind: "gauge", help: "Members of a consumer group."}
	seconds := &metricFamily{name: "tarn_group_lag_seconds", kind: "gauge", help: "How far behind a consumer group is in the records' own time: from the first record that it has not committed to the last one, of the partition where that is longest."}
	looked := 0
	lag := &metricFamily{name: "tarn_group_lag_records", kind: "gauge", help: "Offsets that a consumer group has not committed yet, by topic."}
	alias := &metricFamily{name: "kafka_consumergroup_lag", kind: "gauge", help: "The same by partition."}
	sum := &metricFamily{name: "kafka_consumergroup_lag_sum", kind: "gauge", help: "The same by topic, under the name that kafka_exporter gives it."}
	offset := &metricFamily{name: "kafka_consumergroup_current_offset", kind: "gauge", help: "What a consumer group has committed."}
	count := &metricFamily{name: "kafka_consumergroup_members", kind: "gauge", help: "Members of a consumer group, under the name that kafka_exporter gives it."}
	for i := range groups {
		g := &groups[i]
		members.add(len(g.Members), "group", g.Name)
		count.add(len(g.Members), "consumergroup", g.Name)
		sums, behind := map[string]int64{}, map[string]float64{}
		times := looked < maxLagLooks
		for _, p := range n.lagOf(ctx, g, times, func(string) bool { return true }) {
			sums[p.Topic] += p.Lag
			behind[p.Topic] = max(behind[p.Topic], p.Seconds)
			if p.Lag > 0 {
				looked++
			}
			if len(alias.samples) >= maxGroupSamples || p.Committed < 0 {
				continue
			}
			labels := []string{"consumergroup", g.Name, "topic", p.Topic, "partition", fmt.Sprint(p.Partition)}
			alias.add(p.Lag, labels...)
			offset.add(p.Committed, labels...)
		}
		for _, name := range sortedNames(sums) {
			lag.add(sums[name], "group", g.Name, "topic", name)
			if times {
				seconds.add(behind[name], "group", g.Name, "topic", name)
			}
			sum.add(sums[name], "consumergroup", g.Name, "topic", name)
		}
	}
	writeFamilies(w, members, lag, seconds, count, sum, alias, offset)
}

func sortedNames(m map[string]int64) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
