package avro

import (
	"math"
	"strconv"
)

// setLogical reads the logicalType property, with precision and scale. As the
// specification says, a logical type that does not fit is ignored.
func setLogical(t *typ) {
	v := t.prop("logicalType")
	if v == nil || v.kind != jsonString {
		return
	}
	fits := false
	switch v.text {
	case "date", "time-millis":
		fits = t.kind == kindInt
	case "time-micros", "timestamp-millis", "timestamp-micros", "timestamp-nanos",
		"local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos":
		fits = t.kind == kindLong
	case "uuid":
		fits = t.kind == kindString || t.kind == kindFixed && t.size == 16
	case "duration":
		fits = t.kind == kindFixed && t.size == 12
	case "big-decimal":
		fits = t.kind == kindBytes
	case "decimal":
		fits = setDecimal(t)
	}
	if fits {
		t.logical = v.text
	}
}

// setDecimal reads precision and scale; false if they do not fit.
func setDecimal(t *typ) bool {
	most := math.MaxInt32
	switch t.kind {
	case kindBytes:
	case kindFixed:
		most = int(math.Floor(math.Log10(2) * float64(8*t.size-1)))
	default:
		return false
	}
	precision, ok := intProp(t, "precision")
	if !ok || precision <= 0 || precision > most {
		return false
	}
	scale, ok := intProp(t, "scale")
	if t.prop("scale") != nil && !ok || scale < 0 || scale > precision {
		return false
	}
	t.precision, t.scale = precision, scale
	return true
}

// intProp is a property that is a 32-bit integer.
func intProp(t *typ, name string) (int, bool) {
	v := t.prop(name)
	if v == nil || v.kind != jsonNumber {
		return 0, false
	}
	n, err := strconv.ParseInt(v.text, 10, 32)
	return int(n), err == nil
}
