package broker

import "time"

// Times says how long things last. Zero values are Kafka's defaults.
type Times struct {
	// ProducerExpiry is how long a log remembers an idle producer's last batches
	// (producer.id.expiration.ms); 24 h.
	ProducerExpiry time.Duration
	// TxnMaxTimeout is the longest transaction timeout that a producer may ask for
	// (transaction.max.timeout.ms); 15 min.
	TxnMaxTimeout time.Duration
	// TxnExpiry is how long an unused transactional id is remembered
	// (transactional.id.expiration.ms); 7 days.
	TxnExpiry time.Duration
	// OffsetsRetention is how long offsets outlive their group's last member
	// (offsets.retention.minutes); 7 days.
	OffsetsRetention time.Duration
	// MinSession and MaxSession bound the session timeout that members of classic
	// groups may ask for (group.min.session.timeout.ms, …max…); 6 s and 30 min.
	MinSession, MaxSession time.Duration
}
