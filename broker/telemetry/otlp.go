package telemetry

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// What a push holds is OpenTelemetry's MetricsData, version 1 (opentelemetry-proto,
// metrics/v1/metrics.proto), of which these fields are read:
//
//	MetricsData      1 ResourceMetrics…
//	ResourceMetrics  1 Resource, 2 ScopeMetrics…
//	Resource         1 KeyValue…
//	ScopeMetrics     2 Metric…
//	Metric           1 name, and one of 5 Gauge, 7 Sum, 9 Histogram,
//	                 10 ExponentialHistogram, 11 Summary
//	Gauge and so on  1 points…
//	NumberDataPoint  4 double, 6 sfixed64, 7 KeyValue…
//	other points     4 count (fixed64), 5 sum (double), KeyValue… in 9, 1 or 7
//	KeyValue         1 key, 2 AnyValue (1 string, 2 bool, 3 int64, 4 double, 7 bytes)
//
// All else is stepped over. Fields that stand twice count the last time, as in
// protobuf.

// Label is a name and a value.
type Label struct{ Key, Value string }

// Point is one number of a client.
type Point struct {
	Name   string
	Labels []Label
	Value  float64 // of a histogram or summary, the sum
	// Count is how many values a histogram or summary counts; -1 for others.
	Count int64
}

// maxLabels bounds the labels of a point, and of a push.
const maxLabels = 32

// pushed is what is kept of a push.
type pushed struct {
	labels  []Label
	points  []Point
	dropped int
	size    int // bytes of memory, roughly
}

// Rough sizes in memory.
const (
	pointSize = 64
	labelSize = 32
)

// field calls f for each field of a message: its number, and its bytes or its
// number, by type. f returns an error to end.
func fields(b []byte, f func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error) error {
	for len(b) > 0 {
		num, typ, at := protowire.ConsumeTag(b)
		if at < 0 {
			return fmt.Errorf("%w: %w", ErrMetrics, protowire.ParseError(at))
		}
		b = b[at:]
		var v []byte
		var n uint64
		switch typ {
		case protowire.BytesType:
			v, at = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			n, at = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			n, at = protowire.ConsumeFixed64(b)
		default:
			at = protowire.ConsumeFieldValue(num, typ, b)
		}
		if at < 0 {
			return fmt.Errorf("%w: %w", ErrMetrics, protowire.ParseError(at))
		}
		b = b[at:]
		if err := f(num, typ, v, n); err != nil {
			return err
		}
	}
	return nil
}

// messages calls f for each sub-message in field num of a message.
func messages(b []byte, num protowire.Number, f func([]byte) error) error {
	return fields(b, func(n protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		if n == num && typ == protowire.BytesType {
			return f(v)
		}
		return nil
	})
}

// parseMetrics reads a push. It keeps nothing of b.
func parseMetrics(b []byte) (pushed, error) {
	var p pushed
	err := messages(b, 1, func(resource []byte) error {
		if err := messages(resource, 1, func(r []byte) error { return p.resource(r) }); err != nil {
			return err
		}
		return messages(resource, 2, func(scope []byte) error {
			return messages(scope, 2, p.metric)
		})
	})
	if err != nil {
		return pushed{}, err
	}
	return p, nil
}

func (p *pushed) resource(b []byte) error {
	return messages(b, 1, func(kv []byte) error {
		l, err := label(kv)
		if err == nil && len(p.labels) < maxLabels {
			p.labels = append(p.labels, l)
			p.size += labelSize + len(l.Key) + len(l.Value)
		}
		return err
	})
}

// metric reads one metric with all its points.
func (p *pushed) metric(b []byte) error {
	var name string
	if err := messages(b, 1, func(v []byte) error { name = string(v); return nil }); err != nil {
		return err
	}
	p.size += len(name)
	return fields(b, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		if typ != protowire.BytesType {
			return nil
		}
		labels, histogram := protowire.Number(7), true
		switch num {
		case 5, 7:
			histogram = false
		case 9:
			labels = 9
		case 10:
			labels = 1
		case 11:
		default:
			return nil
		}
		return messages(v, 1, func(point []byte) error { return p.point(name, point, labels, histogram) })
	})
}

// point reads one point, whose labels stand in the field given.
func (p *pushed) point(name string, b []byte, labels protowire.Number, histogram bool) error {
	if len(p.points) >= maxPoints {
		p.dropped++
		return nil
	}
	out := Point{Name: name, Count: -1}
	size := pointSize
	err := fields(b, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch {
		case num == labels && typ == protowire.BytesType:
			l, err := label(v)
			if err == nil && len(out.Labels) < maxLabels {
				out.Labels = append(out.Labels, l)
				size += labelSize + len(l.Key) + len(l.Value)
			}
			return err
		case typ != protowire.Fixed64Type:
		case num == 4 && histogram:
			out.Count = int64(min(n, math.MaxInt64))
		case num == 5 && histogram, num == 4:
			out.Value = math.Float64frombits(n)
		case num == 6 && !histogram:
			out.Value = float64(int64(n))
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.points = append(p.points, out)
	p.size += size
	return nil
}

// label reads a KeyValue. Lists and maps are left empty.
func label(b []byte) (Label, error) {
	var l Label
	err := fields(b, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch {
		case typ != protowire.BytesType:
		case num == 1:
			l.Key = string(v)
		case num == 2:
			return fields(v, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
				l.Value = anyValue(num, typ, v, n, l.Value)
				return nil
			})
		}
		return nil
	})
	return l, err
}

// anyValue is a field of an AnyValue as text, or was.
func anyValue(num protowire.Number, typ protowire.Type, v []byte, n uint64, was string) string {
	switch {
	case num == 1 && typ == protowire.BytesType:
		return string(v)
	case num == 2 && typ == protowire.VarintType:
		return strconv.FormatBool(n != 0)
	case num == 3 && typ == protowire.VarintType:
		return strconv.FormatInt(int64(n), 10)
	case num == 4 && typ == protowire.Fixed64Type:
		return strconv.FormatFloat(math.Float64frombits(n), 'g', -1, 64)
	case num == 7 && typ == protowire.BytesType:
		return base64.StdEncoding.EncodeToString(v)
	}
	return was
}
