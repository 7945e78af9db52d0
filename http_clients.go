package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/telemetry"
	"github.com/tarn-io/tarn/broker/wire"
)

// maxSettingBytes bounds a request that sets listeners or a subscription.
const maxSettingBytes = 64 << 10

// clientsAPI serves who is connected, what clients push about themselves, and
// where they are told to connect to.
func (n *node) clientsAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/clients", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, n.clients())
	})
	mux.HandleFunc("GET /api/clients/metrics", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, n.clientMetrics(r.URL.Query().Get("client_id")))
	})
	mux.HandleFunc("GET /api/clients/subscriptions", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, n.subscriptions())
	})
	mux.HandleFunc("PUT /api/clients/subscriptions/{name}", n.subscribeClients)
	mux.HandleFunc("DELETE /api/clients/subscriptions/{name}", n.unsubscribeClients)
	mux.HandleFunc("GET /api/listeners", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, n.endpoints())
	})
	mux.HandleFunc("PUT /api/listeners", n.setListeners)
	return mux
}

// clientInfo is a connection as JSON. Times are null where there are none.
type clientInfo struct {
	Listener    string     `json:"listener"`
	Address     string     `json:"address"`
	User        string     `json:"user"`
	ClientID    string     `json:"client_id"`
	Software    string     `json:"software"`
	Version     string     `json:"software_version"`
	Since       time.Time  `json:"connected_at"`
	LastRequest *time.Time `json:"last_request_at"`
	Requests    int64      `json:"requests"`
	Keys        []string   `json:"requested"` // Kafka's names of the APIs it has used
	Instance    string     `json:"client_instance_id,omitempty"`
}

func (n *node) clients() []clientInfo {
	out := []clientInfo{}
	for _, c := range n.broker.Clients() {
		info := clientInfo{
			Listener: c.Listener, Address: c.Remote, User: c.User, ClientID: c.ClientID,
			Software: c.Software, Version: c.SoftwareVersion, Since: c.Since, LastRequest: given(c.Last),
			Requests: c.Requests, Keys: []string{},
		}
		for _, key := range c.Keys {
			if r, ok := wire.Lookup(key); ok {
				info.Keys = append(info.Keys, r.Name)
			}
		}
		if c.Instance != (telemetry.ID{}) {
			info.Instance = c.Instance.String()
		}
		out = append(out, info)
	}
	return out
}

// given is nil for no time.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// instanceInfo is a client with telemetry as JSON.
type instanceInfo struct {
	Instance   string            `json:"client_instance_id"`
	ClientID   string            `json:"client_id"`
	User       string            `json:"user"`
	Software   string            `json:"software"`
	Version    string            `json:"software_version"`
	Address    string            `json:"address"`
	Subscribed []string          `json:"subscribed"`
	IntervalMs int64             `json:"interval_ms"`
	Seen       time.Time         `json:"last_request_at"`
	Pushed     *time.Time        `json:"pushed_at"`
	Labels     map[string]string `json:"labels"`
	Metrics    []pointInfo       `json:"metrics"`
	Dropped    int               `json:"metrics_dropped,omitempty"`
}

// pointInfo is one number. Value is null for what JSON has no number for.
type pointInfo struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  *float64          `json:"value"`
	Count  *int64            `json:"count,omitempty"` // of histograms, whose value is the sum
}

// clientMetrics are the clients with telemetry; with an id, only those of it.
func (n *node) clientMetrics(clientID string) []instanceInfo {
	out := []instanceInfo{}
	for _, in := range n.broker.Telemetry().Instances() {
		if clientID != "" && in.Client.ID != clientID {
			continue
		}
		info := instanceInfo{
			Instance: in.ID.String(), ClientID: in.Client.ID, User: in.User, Software: in.Software, Version: in.SoftwareVersion,
			Address: in.Host, Subscribed: append([]string{}, in.Subscribed...), IntervalMs: in.Interval.Milliseconds(),
			Seen: in.Seen, Pushed: given(in.Pushed), Labels: labels(in.Labels), Metrics: []pointInfo{}, Dropped: in.Dropped,
		}
		for _, p := range in.Points {
			point := pointInfo{Name: p.Name, Labels: labels(p.Labels)}
			if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
				point.Value = &p.Value
			}
			if p.Count >= 0 {
				point.Count = &p.Count
			}
			info.Metrics = append(info.Metrics, point)
		}
		out = append(out, info)
	}
	return out
}

func labels(all []telemetry.Label) map[string]string {
	out := make(map[string]string, len(all))
	for _, l := range all {
		out[l.Key] = l.Value
	}
	return out
}

// subscriptionInfo is a subscription of client metrics as JSON.
type subscriptionInfo struct {
	Name       string      `json:"name"`
	Metrics    string      `json:"metrics"`
	IntervalMs json.Number `json:"interval_ms"`
	Match      string      `json:"match"`
}

func (n *node) subscriptions() []subscriptionInfo {
	t, out := n.broker.Telemetry(), []subscriptionInfo{}
	for _, name := range t.Names() {
		metrics, _ := t.Value(name, telemetry.Metrics)
		interval, _ := t.Value(name, telemetry.IntervalMs)
		match, _ := t.Value(name, telemetry.Match)
		out = append(out, subscriptionInfo{name, metrics, json.Number(strings.TrimSpace(interval)), match})
	}
	return out
}

// subscribeClients sets a subscription as a whole.
func (n *node) subscribeClients(w http.ResponseWriter, r *http.Request) {
	var s subscriptionInfo
	if !readJSON(w, r, maxSettingBytes, &s) {
		return
	}
	var changes []telemetry.Change
	for _, c := range []telemetry.Change{
		{Key: telemetry.Metrics, Value: s.Metrics}, {Key: telemetry.IntervalMs, Value: s.IntervalMs.String()}, {Key: telemetry.Match, Value: s.Match},
	} {
		if c.Value != "" {
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: "a subscription needs metrics, interval_ms or match"})
		return
	}
	n.alterSubscription(w, r, changes)
}

// unsubscribeClients ends a subscription that is there.
func (n *node) unsubscribeClients(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !slices.Contains(n.broker.Telemetry().Names(), name) {
		answer(w, http.StatusNotFound, apiError{Code: 40401, Message: fmt.Sprintf("there is no subscription of client metrics called %q", name)})
		return
	}
	n.alterSubscription(w, r, nil)
}

func (n *node) alterSubscription(w http.ResponseWriter, r *http.Request, changes []telemetry.Change) {
	var refused *telemetry.Refusal
	err := n.broker.Telemetry().Alter(r.Context(), r.PathValue("name"), changes, true, false)
	switch {
	case err == nil:
		answer(w, http.StatusOK, n.subscriptions())
	case errors.As(err, &refused), errors.Is(err, telemetry.ErrTooMany):
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: err.Error()})
	default:
		answer(w, http.StatusInternalServerError, apiError{Code: 50001, Message: err.Error()})
	}
}

// listenerInfo is a listener as JSON.
type listenerInfo struct {
	Name       string `json:"name"`
	Address    string `json:"address,omitempty"`
	Advertised string `json:"advertised"`
}

func (n *node) endpoints() []listenerInfo {
	out := []listenerInfo{}
	for _, e := range n.broker.Endpoints() {
		out = append(out, listenerInfo{e.Name, e.Addr.String(), e.Advertised})
	}
	return out
}

// setListeners sets what clients are told, for the listeners named; the others
// go back to what they were configured with.
func (n *node) setListeners(w http.ResponseWriter, r *http.Request) {
	var all []listenerInfo
	if !readJSON(w, r, maxSettingBytes, &all) {
		return
	}
	words := make([]string, len(all))
	for i, l := range all {
		if words[i] = l.Name + "://" + l.Advertised; strings.Contains(words[i], ",") {
			answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: "a comma is in no name and no address: " + words[i]})
			return
		}
	}
	err := n.broker.Advertise(r.Context(), strings.Join(words, ","), false)
	switch {
	case err == nil:
		answer(w, http.StatusOK, n.endpoints())
	case errors.Is(err, api.ErrConfig):
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: err.Error()})
	default:
		answer(w, http.StatusInternalServerError, apiError{Code: 50001, Message: err.Error()})
	}
}
