package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/sink/wiring"
)

const (
	// defaultRejections is how many rejections are answered if nobody asks for
	// more, and how many a stream begins with.
	defaultRejections = 100
	// keepAlive is how often a stream without news says that it is there, so that
	// proxies leave it open.
	keepAlive = 15 * time.Second
)

// rejection is a record that did not fit its topic's schema, as it is shown.
type rejection struct {
	Seq             int64     `json:"seq"`
	Time            time.Time `json:"time"`
	Topic           string    `json:"topic"`
	Client          string    `json:"client"`
	Software        string    `json:"software"`
	SoftwareVersion string    `json:"software_version"`
	Remote          string    `json:"remote"`
	Record          int32     `json:"record"` // index in its batch
	Part            string    `json:"part"`
	Subject         string    `json:"subject"`
	Version         int       `json:"version,omitempty"`
	SchemaID        int       `json:"schema_id,omitempty"`
	Path            string    `json:"path,omitempty"`
	Expected        string    `json:"expected,omitempty"`
	Found           string    `json:"found,omitempty"`
	Reason          string    `json:"reason"` // its class, as metrics count it
	Rule            string    `json:"rule,omitempty"`
	Message         string    `json:"message"`
	More            int       `json:"more,omitempty"` // of its batch, not listed
	Monitored       bool      `json:"monitored"`      // it was taken all the same
	Preview         string    `json:"preview"`
}

func shown(r *validate.Rejection) rejection {
	return rejection{
		Seq: r.Seq, Time: r.Time.UTC(), Topic: r.Topic, Client: r.ClientID, Software: r.Software,
		SoftwareVersion: r.SoftwareVersion, Remote: r.Remote, Record: r.Index, Part: r.Part,
		Subject: r.Subject, Version: r.Version, SchemaID: r.SchemaID, Path: r.Path,
		Expected: r.Expected, Found: r.Found, Reason: string(r.Class), Rule: r.Rule, Message: r.Message(), More: r.More,
		Monitored: r.Monitored, Preview: r.Preview,
	}
}

// rejections answers the last rejections of a topic, oldest first; to a client
// that accepts text/event-stream as events that go on until it leaves.
func (n *node) rejections(w http.ResponseWriter, r *http.Request) {
	topic := r.PathValue("topic")
	of := n.broker.Topics().View().ByName(topic)
	if of == nil {
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: fmt.Sprintf("no topic %q", topic)})
		return
	}
	limit := defaultRejections
	if word := r.URL.Query().Get("limit"); word != "" {
		var err error
		if limit, err = strconv.Atoi(word); err != nil || limit < 0 {
			answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: fmt.Sprintf("limit %q is no number", word)})
			return
		}
	}
	// Who reconnects says what it has seen.
	seen, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	again := err == nil
	list, changed := n.validator.Since(topic, of.ID, seen)
	if !again {
		list = list[max(0, len(list)-limit):]
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		n.streamRejections(w, r, topic, list, changed)
		return
	}
	out := make([]rejection, len(list))
	for i := range list {
		out[i] = shown(&list[i])
	}
	answer(w, http.StatusOK, out)
}

// streamRejections sends server-sent events: one for each rejection, with its
// number as id.
func (n *node) streamRejections(w http.ResponseWriter, r *http.Request, topic string, list []validate.Rejection, changed <-chan struct{}) {
	select {
	case n.streams <- struct{}{}:
		defer func() { <-n.streams }()
	default:
		answer(w, http.StatusServiceUnavailable, apiError{Code: 50304, Message: fmt.Sprintf("%d streams are open, which is all there may be", maxStreams)})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	fmt.Fprint(w, ": rejections of "+strconv.Quote(topic)+"\n\n")
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	last := int64(0)
	for {
		for i := range list {
			last = list[i].Seq
			text, err := json.Marshal(shown(&list[i]))
			if err != nil {
				return
			}
			fmt.Fprintf(w, "id: %d\nevent: rejection\ndata: %s\n\n", last, text)
		}
		if out.Flush() != nil {
			return // the client is gone
		}
		select {
		case <-changed:
		case <-tick.C:
			fmt.Fprint(w, ":\n\n")
		case <-r.Context().Done():
			return
		case <-n.stopping:
			return
		}
		id := validate.TopicID{}
		if of := n.broker.Topics().View().ByName(topic); of != nil { // it may have been made again
			id = of.ID
		}
		list, changed = n.validator.Since(topic, id, last)
	}
}

// validationReport is what was checked of a topic since the broker started.
type validationReport struct {
	Topic    string `json:"topic"`
	Checked  int64  `json:"checked"`  // records
	Rejected int64  `json:"rejected"` // of them; refused or set aside
	// Monitored fit as little, and were taken all the same.
	Monitored int64 `json:"monitored"`
	// Causes are the most frequent first; those of topics without rejections for
	// long may be forgotten.
	Causes []validate.Count `json:"causes"`
	// Rules are those that were asked, with what they took.
	Rules []validate.RuleCost `json:"rules"`
	// SchemaRules are all rules of the newest schemas.
	SchemaRules []validate.SchemaRule `json:"schema_rules"`
}

// report answers a topic's rejections by cause.
func (n *node) report(w http.ResponseWriter, r *http.Request) {
	topic := r.PathValue("topic")
	of := n.broker.Topics().View().ByName(topic)
	if of == nil {
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: fmt.Sprintf("no topic %q", topic)})
		return
	}
	t := n.validator.Tally(topic, of.ID)
	out := validationReport{Topic: topic, Checked: t.Records, Causes: n.validator.Report(topic, of.ID), Rules: t.Rules, SchemaRules: n.validator.SchemaRules(wiring.Rules(of, 0))}
	for _, c := range t.Bad {
		if c.Monitored {
			out.Monitored += c.Records
		} else {
			out.Rejected += c.Records
		}
	}
	answer(w, http.StatusOK, out)
}
