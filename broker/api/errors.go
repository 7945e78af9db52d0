package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/quota"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/telemetry"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// refuse makes a Code an error with a message for the client.
func refuse(c wire.Code, format string, args ...any) error {
	return &wire.Error{Code: c, Message: fmt.Sprintf(format, args...)}
}

// codeOf maps an error to Kafka's code: the one table for this package.
func codeOf(err error) wire.Code {
	if err == nil {
		return wire.None
	}
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Code
	}
	var config *topic.ConfigError
	if errors.As(err, &config) {
		return wire.InvalidConfig
	}
	var groupConfig *groupconfig.Error
	if errors.As(err, &groupConfig) {
		return wire.InvalidConfig
	}
	var quotaRefusal *quota.Refusal
	if errors.As(err, &quotaRefusal) {
		return wire.InvalidRequest
	}
	var metrics *telemetry.Refusal
	if errors.As(err, &metrics) && metrics.Request {
		return wire.InvalidRequest
	} else if metrics != nil {
		return wire.InvalidConfig
	}
	for _, m := range codes {
		if errors.Is(err, m.err) {
			return m.code
		}
	}
	return wire.UnknownServerError
}

// ErrConfig refuses a value of a broker's config.
var ErrConfig = errors.New("invalid config")

// codes are tried in order. Clients repeat a request on a retriable code, so
// what is wrong with the data never gets one, but for damage on the way.
var codes = []struct {
	err  error
	code wire.Code
}{
	{commitlog.ErrFenced, wire.InvalidProducerEpoch},
	{commitlog.ErrSequence, wire.OutOfOrderSequenceNumber},
	{commitlog.ErrNoTransaction, wire.InvalidTxnState},
	{commitlog.ErrTransactionOpen, wire.InvalidTxnState},
	{commitlog.ErrGone, wire.UnknownTopicOrPartition},
	{commitlog.ErrNotOwner, wire.NotLeaderOrFollower},
	{commitlog.ErrRange, wire.OffsetOutOfRange},
	{commitlog.ErrClosed, wire.NotLeaderOrFollower},
	{storage.ErrInvalid, wire.InvalidRequest},
	{commitlog.ErrStorage, wire.KafkaStorageError},
	{storage.ErrFull, wire.KafkaStorageError},
	{storage.ErrClosed, wire.KafkaStorageError},
	{telemetry.ErrTooSoon, wire.ThrottlingQuotaExceeded},
	{telemetry.ErrSubscription, wire.UnknownSubscriptionID},
	{telemetry.ErrEnded, wire.InvalidRequest},
	{telemetry.ErrCodec, wire.UnsupportedCompressionType},
	{telemetry.ErrTooLarge, wire.TelemetryTooLarge},
	{telemetry.ErrMetrics, wire.InvalidRecord},
	{telemetry.ErrTooMany, wire.PolicyViolation},
	{record.ErrCRC, wire.CorruptMessage},
	{record.ErrShort, wire.CorruptMessage},
	{record.ErrCodec, wire.UnsupportedCompressionType},
	{record.ErrTooLarge, wire.InvalidRecord},
	{record.ErrMagic, wire.InvalidRecord},
	{record.ErrCorrupt, wire.InvalidRecord},
	{record.ErrTimestampType, wire.InvalidTimestamp},
	{ErrConfig, wire.InvalidConfig},
	{topic.ErrExists, wire.TopicAlreadyExists},
	{topic.ErrNotFound, wire.UnknownTopicOrPartition},
	{topic.ErrName, wire.InvalidTopicException},
	{topic.ErrPartitions, wire.InvalidPartitions},
	{groupconfig.ErrTooMany, wire.PolicyViolation},
	{context.DeadlineExceeded, wire.RequestTimedOut},
}

// message is what a client may read of an error: nil for none. The text of what
// went wrong inside stays in the broker's log, since it may hold paths.
func message(err error) *string {
	if err == nil {
		return nil
	}
	var e *wire.Error
	text := err.Error()
	switch code := codeOf(err); {
	case errors.As(err, &e):
		text = e.Message
	case code == wire.UnknownServerError, code == wire.KafkaStorageError:
		text = "the broker could not store or read this; its log says why"
	}
	return &text
}

// code is codeOf for an answer. What is the broker's fault and no refusal is
// logged, once a second at most, since clients try again.
func (h *Handlers) code(err error) int16 {
	code := codeOf(err)
	if (code == wire.UnknownServerError || code == wire.KafkaStorageError) && !errors.Is(err, context.Canceled) {
		nowMs := h.cfg.Now().UnixMilli()
		if last := h.loggedMs.Load(); nowMs-last >= 1000 && h.loggedMs.CompareAndSwap(last, nowMs) {
			h.lg.Error("request failed", "error", err)
		}
	}
	return int16(code)
}
