package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
)

// libraries names the benchmark of each schema package that runs the usual
// library on the same record.
var libraries = map[string]struct{ bench, name string }{
	"avro":       {"BenchmarkOracle", "twmb/avro to a map"},
	"protobuf":   {"BenchmarkDynamicpb", "dynamicpb"},
	"jsonschema": {"BenchmarkLibrary", "santhosh-tekuri/jsonschema"},
}

// schema runs the benchmarks of the schema packages.
func (b *bench) schema() error {
	args := []string{"test", "-run", "^$", "-bench", "^Benchmark(Validate|Decode|Oracle|Dynamicpb|Library)$",
		"-benchmem", "-benchtime", "300ms", "-count", strconv.Itoa(b.runs), "./schema/avro", "./schema/protobuf", "./schema/jsonschema"}
	cmd := exec.CommandContext(b.ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	took, err := parseBenchmarks(out)
	if err != nil {
		return err
	}
	for _, language := range []string{"avro", "protobuf", "jsonschema"} {
		library := libraries[language]
		base := took[language][library.bench]
		for _, what := range []string{"Validate", "Decode"} {
			runs := took[language]["Benchmark"+what]
			if len(runs) == 0 || len(base) == 0 {
				return fmt.Errorf("package schema/%s has no Benchmark%s or no %s", language, what, library.bench)
			}
			for n := range runs {
				b.table.add(fmt.Sprintf("%s %s", strings.ToLower(what), language), "ns/record",
					runs[n], base[min(n, len(base)-1)], library.name)
			}
		}
	}
	return nil
}

// parseBenchmarks reads the output of go test -bench: ns/op by package and
// benchmark.
func parseBenchmarks(out []byte) (map[string]map[string][]float64, error) {
	took := map[string]map[string][]float64{}
	pkg := ""
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if p, ok := strings.CutPrefix(lines.Text(), "pkg: "); ok {
			pkg = path.Base(p)
			took[pkg] = map[string][]float64{}
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") || fields[3] != "ns/op" {
			continue
		}
		ns, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return nil, fmt.Errorf("benchmark line %q: %w", lines.Text(), err)
		}
		name, _, _ := strings.Cut(fields[0], "-")
		took[pkg][name] = append(took[pkg][name], ns)
	}
	return took, nil
}
