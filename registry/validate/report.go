package validate

import (
	"cmp"
	"slices"
)

// maxCauses bounds the causes counted for a topic: what comes after them is
// counted together.
const maxCauses = 1000

// Cause is what rejections have in common: who sent them, and what was wrong.
type Cause struct {
	ClientID        string `json:"client"`
	Software        string `json:"software"`
	SoftwareVersion string `json:"software_version"`
	Part            string `json:"part"`
	Subject         string `json:"subject"`
	// Path and Expected say what did not fit; of payloads without a decoder
	// Reason does.
	Path     string `json:"path,omitempty"`
	Expected string `json:"expected,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Monitored records were taken all the same.
	Monitored bool `json:"monitored"`
}

// Count is how many records a cause has kept out, or would have.
type Count struct {
	Cause
	Records int64 `json:"records"`
}

func causeOf(from Origin, r *Refusal) Cause {
	c := Cause{
		ClientID: from.ClientID, Software: from.Software, SoftwareVersion: from.SoftwareVersion,
		Part: r.Part, Subject: r.Subject, Path: r.Path, Expected: r.Expected, Monitored: r.Monitored,
	}
	if c.Path == "" || r.Rule != "" {
		c.Reason = r.Reason
	}
	return c
}

func (r *ring) count(c Cause, n int64) {
	if _, known := r.counts[c]; !known && len(r.counts) >= maxCauses {
		c = Cause{Reason: "others", Monitored: c.Monitored}
	}
	r.counts[c] += n
}

// Report counts a topic's rejections since the start by cause, the most frequent
// first. Of a batch with more refusals than are listed the others count for the
// last one listed.
func (v *Validator) Report(topic string, id TopicID) []Count {
	v.rings.mu.Lock()
	defer v.rings.mu.Unlock()
	list := []Count{}
	if r := v.rings.topics[topic]; r != nil && r.id == id {
		for c, n := range r.counts {
			list = append(list, Count{c, n})
		}
	}
	slices.SortFunc(list, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), cmp.Compare(a.ClientID, b.ClientID),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Reason, b.Reason))
	})
	return list
}

// Since lists the rejections of a topic that came after the one with the number
// seq and are still remembered, oldest first, and gives a channel that is closed
// when there may be more, of whatever topic.
func (v *Validator) Since(topic string, id TopicID, seq int64) ([]Rejection, <-chan struct{}) {
	v.rings.mu.Lock()
	changed := v.rings.changed
	v.rings.mu.Unlock()
	list := v.rings.list(topic, id)
	at := slices.IndexFunc(list, func(r Rejection) bool { return r.Seq <= seq })
	if at >= 0 {
		list = list[:at]
	}
	slices.Reverse(list)
	return list, changed
}
