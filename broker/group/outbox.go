package group

import (
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// outbox is for machines whose state changes when the event comes: every answer
// given since then waits until that is durable. If it does not become so, the
// coordinator drops the machine and reads the group anew: no answer has told of
// what is lost.
type outbox struct {
	answers []effect // of the event being handled
	saves   []*save  // on their way to the store, in order
	out     []effect
}

// save is a state on its way to the store, with the answers that wait for it.
type save struct{ answers []effect }

// reply answers a request when what has happened up to now is durable.
func (b *outbox) reply(to token, answer any) {
	b.answers = append(b.answers, effect{to: to, answer: answer})
}

// flush ends an event: it has the state stored if that changed, and passes the
// answers on, or lets them wait.
func (b *outbox) flush(changed bool, snapshot func() *groupItem) {
	if changed {
		b.saves = append(b.saves, &save{})
		b.out = append(b.out, effect{snapshot: snapshot, then: b.saved})
	}
	if n := len(b.saves); n > 0 {
		b.saves[n-1].answers = append(b.saves[n-1].answers, b.answers...)
	} else {
		b.out = append(b.out, b.answers...)
	}
	b.answers = nil
}

// saved takes the outcome of the oldest save.
func (b *outbox) saved(_ time.Time, code wire.Code) {
	s := b.saves[0]
	b.saves = b.saves[1:]
	for _, a := range s.answers {
		if code != wire.None {
			a.answer = code
		}
		b.out = append(b.out, a)
	}
}

// take hands the effects over.
func (b *outbox) take() []effect {
	out := b.out
	b.out = nil
	return out
}
