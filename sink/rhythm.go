package sink

import "time"

// How a sink's interval follows the time that commits take. Where a commit takes
// as long as the interval, lag grows without end; fewer, larger commits end that.
const (
	// slowShare and quickShare are the parts of the interval (one divided by
	// them) beyond which a commit is slow, and below which it is quick: what lies
	// between changes nothing, so that the interval comes to rest.
	slowShare  = 2
	quickShare = 8
	// maxWide bounds the doublings, and maxInterval the interval that comes of
	// them: rows are to be seen some time. A longer configured one stays.
	maxWide     = 6
	maxInterval = 10 * time.Minute
)

// interval is the commit interval in force: the configured one, doubled while
// commits are slow.
func (s *sink) interval() time.Duration {
	configured := s.topic.CommitInterval
	return max(configured, min(configured<<s.wide, maxInterval))
}

// noteRound has the interval follow the time that a commit took, to all formats
// together: they are committed one after the other.
func (s *sink) noteRound(took time.Duration) {
	before := s.interval()
	switch {
	case took > before/slowShare && s.wide < maxWide && before < maxInterval:
		s.wide++
		s.lg.Warn("commits are slow: the interval widens", "took", took, "interval", s.interval(), "configured", s.topic.CommitInterval)
	case took < before/quickShare && s.wide > 0:
		s.wide--
		s.lg.Info("commits are quicker again: the interval narrows", "took", took, "interval", s.interval(), "configured", s.topic.CommitInterval)
	}
}
