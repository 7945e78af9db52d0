package schematest

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// differentialSchemas is the variable that says how many random schemas a
// differential test tries; without it a few.
const differentialSchemas = "TARN_DIFFERENTIAL_SCHEMAS"

// Tally counts what a differential test has tried.
type Tally struct {
	Schemas, Taken, Refused int
}

// Count adds a payload on which both sides agreed.
func (c *Tally) Count(taken bool) {
	if taken {
		c.Taken++
	} else {
		c.Refused++
	}
}

// Differential holds a decoder against its oracle: it calls try for a number of
// seeds, which are always the same, and prints what was tried. try makes a schema
// and payloads of it, some of them spoiled, and fails where the two disagree. So
// a run feeds the same on every machine, and finds what the code changed; a search
// for what nobody thought of is the fuzz targets' (make fuzz-oracles).
func Differential(t *testing.T, name string, few int, try func(seed uint64, c *Tally)) {
	n := few
	if text := os.Getenv(differentialSchemas); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("%s=%q: must be a number of schemas", differentialSchemas, text)
		}
		n *= few
	}
	var c Tally
	begun := time.Now()
	for seed := range uint64(n) {
		// Far from the seeds of other tests, which are counted from 0.
		try(1_000_000+seed, &c)
	}
	fmt.Printf("%s: %d schemas, %d payloads taken by both, %d refused, in %.1f s\n", name, c.Schemas, c.Taken, c.Refused, time.Since(begun).Seconds())
	if c.Schemas < n/2 || c.Taken < 5*c.Schemas || c.Refused < c.Schemas {
		t.Errorf("%d schemas of %d seeds, %d payloads taken and %d refused: too few to mean much", c.Schemas, n, c.Taken, c.Refused)
	}
}
