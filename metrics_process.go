package main

import (
	"io"
	"runtime"
	"runtime/metrics"
)

// writeRuntime writes what the process and Go's runtime use, under the names that
// Prometheus' own client gives them. Nothing of it stops the world.
func writeRuntime(w io.Writer) {
	info := &metricFamily{name: "go_info", kind: "gauge", help: "1, with the version of Go."}
	info.add(1, "version", runtime.Version())
	all := []*metricFamily{info}
	samples := []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/gomemlimit:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a runtime that does not know it
		}
		return samples[i].Value.Uint64()
	}
	for _, m := range []struct {
		name, kind, help string
		value            uint64
	}{
		{"go_goroutines", "gauge", "Goroutines that are there.", value(0)},
		{"go_memstats_alloc_bytes", "gauge", "Bytes of objects on the heap.", value(1)},
		{"go_memstats_alloc_bytes_total", "counter", "Bytes that were ever allocated.", value(2)},
		{"go_memstats_sys_bytes", "gauge", "Memory that Go has of the system.", value(3)},
		{"go_memstats_heap_inuse_bytes", "gauge", "Heap in spans that hold something.", value(1) + value(4)},
		{"go_gc_cycles_total_gc_cycles_total", "counter", "Collections.", value(5)},
		{"go_gc_gomemlimit_bytes", "gauge", "What Go is told to stay below; 9223372036854775807 without a limit.", value(6)},
	} {
		f := &metricFamily{name: m.name, kind: m.kind, help: m.help}
		f.add(m.value)
		all = append(all, f)
	}
	use := usage()
	cpu := &metricFamily{name: "process_cpu_seconds_total", kind: "counter", help: "Time on processors."}
	open := &metricFamily{name: "process_open_fds", kind: "gauge", help: "Files and sockets that are open."}
	most := &metricFamily{name: "process_max_fds", kind: "gauge", help: "How many may be."}
	for _, m := range []struct {
		f     *metricFamily
		value float64
	}{{cpu, use.cpuSeconds}, {open, use.openFiles}, {most, use.maxFiles}} {
		if m.value >= 0 {
			m.f.add(m.value)
		}
	}
	writeFamilies(w, append(all, cpu, open, most)...)
}

// processUsage is what a process uses; below 0 where the system does not tell.
type processUsage struct {
	cpuSeconds, openFiles, maxFiles float64
}
