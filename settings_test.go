package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker"
)

func TestTimes(t *testing.T) {
	f := timeFlags{ProducerExpiry: time.Hour, TxnMaxTimeout: 2 * time.Hour, TxnExpiry: 3 * time.Hour,
		OffsetsRetention: 4 * time.Hour, MinSession: 5 * time.Second, MaxSession: 6 * time.Second,
		RetentionCheck: time.Minute, CompactionCheck: time.Minute}
	got, err := f.times()
	if want := (broker.Times{ProducerExpiry: time.Hour, TxnMaxTimeout: 2 * time.Hour, TxnExpiry: 3 * time.Hour,
		OffsetsRetention: 4 * time.Hour, MinSession: 5 * time.Second, MaxSession: 6 * time.Second}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	shown := ""
	for _, s := range f.settings() {
		shown += " " + s.Name + "=" + s.Value + "/" + s.Default
	}
	if want := " producer.id.expiration.ms=3600000/86400000 transaction.max.timeout.ms=7200000/900000 transactional.id.expiration.ms=10800000/604800000" +
		" offsets.retention.minutes=240/10080 group.min.session.timeout.ms=5000/6000 group.max.session.timeout.ms=6000/1800000"; shown != want {
		t.Errorf("got %s, want %s", shown, want)
	}
	for _, bad := range []func(f *timeFlags){
		func(f *timeFlags) { f.TxnMaxTimeout = 0 },
		func(f *timeFlags) { f.MinSession = time.Minute },
		func(f *timeFlags) { f.CompactionCheck = 0 },
	} {
		g := f
		if bad(&g); !failsOn(g.times()) {
			t.Errorf("%+v is taken", g)
		}
	}
}

func failsOn(_ broker.Times, err error) bool {
	return err != nil && strings.Contains(err.Error(), "--kafka.")
}

// TestKafkaVersionIsShown: consoles that find no version there take the broker
// for one of which they know nothing.
func TestKafkaVersionIsShown(t *testing.T) {
	var major, minor, internal int
	for _, s := range (&serveCmd{}).settings() {
		if s.Name != "inter.broker.protocol.version" {
			continue
		}
		if _, err := fmt.Sscanf(s.Value, "%d.%d-IV%d", &major, &minor, &internal); err != nil || s.Value != s.Default {
			t.Errorf("%q, default %q: %v", s.Value, s.Default, err)
		}
	}
	if major < 3 {
		t.Errorf("version %d.%d", major, minor)
	}
}
