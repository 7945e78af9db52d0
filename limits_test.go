package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker"
)

// TestConnectionFlags reads the limits of connections, and says what is wrong with
// those that cannot be.
func TestConnectionFlags(t *testing.T) {
	cfg := func() broker.Config {
		return broker.Config{Listeners: []broker.Listener{{Name: "INTERNAL"}, {Name: "EXTERNAL"}}}
	}
	f := connectionFlags{
		MaxConns: 100, Rate: 20, MaxPerIP: 10,
		ListenerMax: "external:50", ListenerRate: "EXTERNAL:5, INTERNAL:7", MaxOfIP: "10.0.0.1:3,[::1]:0",
	}
	got := cfg()
	if err := f.limit(&got); err != nil {
		t.Fatal(err)
	}
	in, out := got.Listeners[0], got.Listeners[1]
	if got.MaxConnections != 100 || got.ConnectionRate != 20 || got.MaxConnectionsPerIP != 10 ||
		in.MaxConnections != 0 || in.ConnectionRate != 7 || out.MaxConnections != 50 || out.ConnectionRate != 5 ||
		!maps.Equal(got.IPConnections, map[string]int{"10.0.0.1": 3, "::1": 0}) {
		t.Errorf("got %+v", got)
	}
	shown := ""
	for _, s := range f.settings() {
		shown += s.Name + "=" + s.Value + " "
	}
	if want := "max.connections=100 max.connections.per.ip=10 max.connections.per.ip.overrides=10.0.0.1:3,[::1]:0 max.connection.creation.rate=20 " +
		"listener.name.external.max.connections=50 listener.name.external.max.connection.creation.rate=5 listener.name.internal.max.connection.creation.rate=7 "; shown != want {
		t.Errorf("got  %s\nwant %s", shown, want)
	}
	for _, bad := range []struct {
		flags connectionFlags
		says  string
	}{
		{connectionFlags{Rate: -1}, "--kafka.connection-rate -1 is below 0"},
		{connectionFlags{ListenerMax: "EXTERNAL"}, `"EXTERNAL" is not NAME:N`},
		{connectionFlags{ListenerMax: "EXTERNAL:0"}, "at least 1"},
		{connectionFlags{ListenerRate: "OTHER:5"}, "no listener in --kafka.listen is called OTHER"},
		{connectionFlags{MaxOfIP: "localhost:5"}, `"localhost" is no IP address`},
		{connectionFlags{MaxOfIP: "10.0.0.1:5,10.0.0.1:6"}, "stands there twice"},
	} {
		c := cfg()
		if err := bad.flags.limit(&c); err == nil || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%+v: got %v, want %s", bad.flags, err, bad.says)
		}
	}
}
