package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/twmb/franz-go/pkg/kadm"
)

// placeHelp says which words name a place in a log.
const placeHelp = "start, end, an offset, +N after the start, -N before the end, or @TIME (2026-01-31, 2026-01-31T12:00:00Z, Unix seconds or milliseconds, -1h before now, now)"

// placeKind says what a place in a log is counted from.
type placeKind int

const (
	atStart placeKind = iota
	atEnd
	atOffset
	afterStart
	beforeEnd
	atTime
)

// logPlace is a place in every partition of a topic.
type logPlace struct {
	kind placeKind
	n    int64     // atOffset, afterStart, beforeEnd
	time time.Time // atTime
}

// parsePlace reads one place. bare says that a time needs no @, as an end after a
// time does not.
func parsePlace(word string, now time.Time, bare bool) (logPlace, error) {
	stamp, timed := strings.CutPrefix(word, "@")
	switch {
	case word == "start" || word == "oldest" || word == "earliest":
		return logPlace{kind: atStart}, nil
	case stamp == "end" || word == "newest" || word == "latest":
		return logPlace{kind: atEnd}, nil
	case timed || bare:
		t, err := parseMoment(stamp, now)
		return logPlace{kind: atTime, time: t}, err
	}
	kind, digits := atOffset, word
	switch {
	case strings.HasPrefix(word, "+"):
		kind, digits = afterStart, word[1:]
	case strings.HasPrefix(word, "-"):
		kind, digits = beforeEnd, word[1:]
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		// Times without @ were what some commands took from the first.
		if t, err := parseMoment(word, now); err == nil && kind == atOffset {
			return logPlace{kind: atTime, time: t}, nil
		}
		return logPlace{}, fmt.Errorf("%q is none of %s", word, placeHelp)
	}
	return logPlace{kind: kind, n: int64(n)}, nil
}

// parseMoment reads a time as rpk does: a date, a date with time, Unix seconds or
// milliseconds (nine or ten, or thirteen digits), now, or a duration before now.
func parseMoment(word string, now time.Time) (time.Time, error) {
	if word == "now" {
		return now, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, word); err == nil {
			return t, nil
		}
	}
	if n, err := strconv.ParseUint(word, 10, 63); err == nil {
		switch len(word) {
		case 9, 10:
			return time.Unix(int64(n), 0), nil
		case 13:
			return time.UnixMilli(int64(n)), nil
		}
	}
	if back, ok := strings.CutPrefix(word, "-"); ok {
		if d, err := parseAge(back); err == nil {
			return now.Add(-d), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: give 2026-01-31, 2026-01-31T12:00:00Z, Unix seconds (9 or 10 digits) or milliseconds (13), now, or -1h, -2d before now", word)
}

// parseAge is a duration as Go writes it, or a number of days.
func parseAge(word string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(word, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(word)
	if err == nil && d < 0 {
		err = errors.New("is negative")
	}
	return d, err
}

// span is a part of a log: FROM, FROM: (the same), FROM:TO, :TO, or @:TIME up to a
// time.
type span struct {
	word     string
	from, to logPlace
	bounded  bool // to was given
}

// parseSpan reads a part of a log. After a time, the colon is looked for behind it,
// since times have colons themselves.
func parseSpan(word string, now time.Time) (span, error) {
	out := span{word: word}
	until, timed := strings.CutPrefix(word, "@:")
	if left, ok := strings.CutPrefix(word, ":"); ok || timed {
		if !timed {
			until = left
		}
		out.bounded = true
		to, err := parsePlace(until, now, timed)
		out.to = to
		return out, err
	}
	from, err := parsePlace(word, now, false)
	if err == nil {
		out.from = from
		return out, nil
	}
	for i := range len(word) {
		if word[i] != ':' {
			continue
		}
		from, fromErr := parsePlace(word[:i], now, false)
		if fromErr != nil {
			continue
		}
		rest := word[i+1:]
		if rest == "" {
			return span{word: word, from: from}, nil
		}
		to, toErr := parsePlace(rest, now, strings.HasPrefix(word, "@"))
		if toErr == nil {
			return span{word: word, from: from, to: to, bounded: true}, nil
		}
		err = toErr
	}
	return out, err
}

// spanFlag is a part of a log as a flag. It takes a word that begins with a hyphen,
// as no other flag does.
type spanFlag string

// Decode implements kong.MapperValue.
func (f *spanFlag) Decode(ctx *kong.DecodeContext) error {
	t := ctx.Scan.Pop()
	word, ok := t.Value.(string)
	if t.IsEOL() || !ok || strings.HasPrefix(word, "--") {
		return fmt.Errorf("expected %s, or FROM:TO", placeHelp)
	}
	if t.Type == kong.ShortFlagToken {
		word = "-" + word
	}
	if _, err := parseSpan(word, time.Now()); err != nil {
		return err
	}
	*f = spanFlag(word)
	return nil
}

// span is what the flag says, counted from now.
func (f *spanFlag) span(now time.Time) (span, error) { return parseSpan(string(*f), now) }

// placeFlag is a place in a log as a flag.
type placeFlag string

// Decode implements kong.MapperValue.
func (f *placeFlag) Decode(ctx *kong.DecodeContext) error {
	var s spanFlag
	if err := s.Decode(ctx); err != nil {
		return err
	}
	if _, err := parsePlace(string(s), time.Now(), false); err != nil {
		return err
	}
	*f = placeFlag(s)
	return nil
}

// bounds are the ends of a topic's logs.
type bounds struct{ starts, ends kadm.ListedOffsets }

// logBounds asks for them. committed says that a log ends where an open transaction
// begins.
func logBounds(ctx context.Context, adm *kadm.Client, topic string, committed bool) (b bounds, err error) {
	if b.starts, err = adm.ListStartOffsets(ctx, topic); err != nil {
		return b, err
	}
	last := adm.ListEndOffsets
	if committed {
		last = adm.ListCommittedOffsets
	}
	if b.ends, err = last(ctx, topic); err != nil {
		return b, err
	}
	err = b.starts.Error()
	if err == nil {
		err = b.ends.Error()
	}
	return b, ofTopic(topic, err)
}

// resolve finds the offset that a place is in each partition of a topic. An offset
// that was given as such is not brought into the log.
func (b bounds) resolve(ctx context.Context, adm *kadm.Client, topic string, p logPlace) (map[int32]int64, error) {
	out := map[int32]int64{}
	var times kadm.ListedOffsets
	if p.kind == atTime {
		var err error
		if times, err = adm.ListOffsetsAfterMilli(ctx, p.time.UnixMilli(), topic); err != nil {
			return nil, err
		}
		if err := times.Error(); err != nil {
			return nil, fmt.Errorf("topic %q at %s: %w", topic, p.time.UTC().Format(time.RFC3339), err)
		}
	}
	for partition, end := range b.ends[topic] {
		start, _ := b.starts.Lookup(topic, partition)
		at := start.Offset
		switch p.kind {
		case atEnd:
			at = end.Offset
		case atOffset:
			out[partition] = p.n
			continue
		case afterStart:
			at = start.Offset + p.n
		case beforeEnd:
			at = end.Offset - p.n
		case atTime:
			found, _ := times.Lookup(topic, partition)
			at = found.Offset
		}
		out[partition] = min(max(at, start.Offset), end.Offset)
	}
	return out, nil
}
