package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// regexFlag makes names of topics patterns, as rpk has them.
type regexFlag struct {
	Regex bool `short:"r" help:"Names are regular expressions (RE2), each of which has to fit a whole name; topics that fit any are meant."`
}

// find returns the topics that names mean; a name of a topic that is not there comes with
// its error. No pattern that fits is an error, unless there is nothing to be found.
func (f *regexFlag) find(ctx context.Context, adm *kadm.Client, names []string) (kadm.TopicDetails, error) {
	if !f.Regex {
		return adm.ListTopics(ctx, names...)
	}
	fits, err := wholeNames(names)
	if err != nil {
		return nil, err
	}
	all, err := adm.ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	all.FilterInternal()
	for name := range all {
		if !fits(name) {
			delete(all, name)
		}
	}
	return all, nil
}

// some is find where nothing to be found is an error.
func (f *regexFlag) some(ctx context.Context, adm *kadm.Client, names []string) (kadm.TopicDetails, error) {
	found, err := f.find(ctx, adm, names)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no topic's name fits %s: tarn topic list shows all", strings.Join(names, " or "))
	}
	return found, err
}

// wholeNames reports whether a name fits any of the patterns, from its beginning to its
// end.
func wholeNames(patterns []string) (func(name string) bool, error) {
	if len(patterns) == 0 {
		return nil, &exitError{2, errors.New("-r takes names for patterns: give one, such as 'shop\\..*'")}
	}
	var each []*regexp.Regexp
	for _, p := range patterns {
		one, err := regexp.Compile("^(?:" + p + ")$")
		if err != nil {
			return nil, &exitError{2, fmt.Errorf("pattern %q (-r): %w", p, patternError(err, p))}
		}
		each = append(each, one)
	}
	return func(name string) bool {
		for _, one := range each {
			if one.MatchString(name) {
				return true
			}
		}
		return false
	}, nil
}

// patternError is what is wrong with a pattern, without what was put around it.
func patternError(err error, pattern string) error {
	if _, alone := regexp.Compile(pattern); alone != nil {
		return alone
	}
	return err
}
