package api

import (
	"bytes"
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/wire"
)

// AlterUserScramCredentials (key 51), version 0 (KIP-554): sets and deletes
// credentials. Passwords come salted, so they are not seen here. A user's changes
// are made all or none; all users' are one commit.

func (h *Handlers) alterScram(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.AlterUserSCRAMCredentialsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.AlterUserSCRAMCredentialsResponse)
		resp.Results = []kmsg.AlterUserSCRAMCredentialsResponseResult{}
		changes, order, refused := scramChanges(req)
		outcome := h.cfg.Users.Alter(ctx, changes)
		for _, name := range order {
			err := refused[name]
			if err == nil {
				err = scramOutcome(outcome[name])
			}
			sr := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
			sr.User, sr.ErrorCode, sr.ErrorMessage = name, h.code(err), message(err)
			resp.Results = append(resp.Results, sr)
		}
		return resp, nil
	}, nil
}

// scramChanges reads the changes of all users that can be taken, the users in
// their order, and the first thing that is wrong with any other.
func scramChanges(req *kmsg.AlterUserSCRAMCredentialsRequest) (changes []auth.Change, order []string, refused map[string]error) {
	refused = map[string]error{}
	type key struct {
		name      string
		mechanism int8
	}
	seen := map[key]bool{}
	known := map[string]bool{}
	note := func(name string, mechanism int8, err error) {
		if !known[name] {
			known[name] = true
			order = append(order, name)
		}
		k := key{name, mechanism}
		switch {
		case seen[k]:
			err = refuse(wire.DuplicateResource, "A user credential cannot be altered twice in the same request")
		case name == "":
			err = refuse(wire.UnacceptableCredential, "Username must not be empty")
		case !auth.Mechanism(mechanism).Valid():
			err = refuse(wire.UnsupportedSASLMechanism, "Unknown SCRAM mechanism")
		}
		if seen[k] = true; refused[name] == nil && err != nil {
			refused[name] = err
		}
	}
	for _, d := range req.Deletions {
		note(d.Name, d.Mechanism, nil)
		changes = append(changes, auth.Change{User: d.Name, Mechanism: auth.Mechanism(d.Mechanism)})
	}
	for _, u := range req.Upsertions {
		note(u.Name, u.Mechanism, acceptable(&u))
		m := auth.Mechanism(u.Mechanism)
		// Both come out of the frame, which is used again.
		c := auth.FromSalted(m, u.SaltedPassword, bytes.Clone(u.Salt), int(u.Iterations))
		changes = append(changes, auth.Change{User: u.Name, Mechanism: m, Set: &c})
	}
	taken := changes[:0]
	for _, c := range changes {
		if refused[c.User] == nil {
			taken = append(taken, c)
		}
	}
	return taken, order, refused
}

// maxSaltBytes bounds salts and salted passwords: SHA-512 gives 64.
const maxSaltBytes = 1024

func acceptable(u *kmsg.AlterUserSCRAMCredentialsRequestUpsertion) error {
	switch {
	case u.Iterations < auth.MinIterations:
		return refuse(wire.UnacceptableCredential, "Too few iterations")
	case u.Iterations > auth.MaxIterations:
		return refuse(wire.UnacceptableCredential, "Too many iterations")
	case len(u.Salt) == 0 || len(u.SaltedPassword) == 0 || len(u.Salt) > maxSaltBytes || len(u.SaltedPassword) > maxSaltBytes:
		return refuse(wire.UnacceptableCredential, "Salt and salted password must have 1 to %d bytes", maxSaltBytes)
	}
	return nil
}

// scramOutcome maps what the users say to Kafka's codes.
func scramOutcome(err error) error {
	switch {
	case errors.Is(err, auth.ErrUnknownUser):
		return refuse(wire.ResourceNotFound, "Attempt to delete a user credential that does not exist")
	case errors.Is(err, auth.ErrFromFile), errors.Is(err, auth.ErrUnacceptable):
		return refuse(wire.UnacceptableCredential, "%s", err)
	}
	return err
}
