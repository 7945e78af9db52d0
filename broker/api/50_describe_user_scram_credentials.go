package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// DescribeUserScramCredentials (key 50), version 0 (KIP-554): which kinds of
// credential users have, and with how many iterations. Null or no users asks for
// all.

func (h *Handlers) describeScram(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeUserSCRAMCredentialsRequest)
	return func(context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
		resp.Results = []kmsg.DescribeUserSCRAMCredentialsResponseResult{}
		if len(req.Users) == 0 {
			for _, name := range h.cfg.Users.Names() {
				resp.Results = append(resp.Results, h.describeUser(name))
			}
			return resp, nil
		}
		times := countNames(req.Users, func(u *kmsg.DescribeUserSCRAMCredentialsRequestUser) string { return u.Name })
		for _, u := range req.Users {
			n := times[u.Name]
			if times[u.Name] = 0; n == 0 {
				continue
			}
			sr := h.describeUser(u.Name)
			if n > 1 {
				err := refuse(wire.DuplicateResource, "Cannot describe SCRAM credentials for the same user twice in a single request: %s", u.Name)
				sr.ErrorCode, sr.ErrorMessage, sr.CredentialInfos = h.code(err), message(err), nil
			}
			resp.Results = append(resp.Results, sr)
		}
		return resp, nil
	}, nil
}

func (h *Handlers) describeUser(name string) kmsg.DescribeUserSCRAMCredentialsResponseResult {
	sr := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
	sr.User = name
	infos, ok := h.cfg.Users.Describe(name)
	if !ok {
		text := fmt.Sprintf("Attempt to describe a user credential that does not exist: %s", name)
		sr.ErrorCode, sr.ErrorMessage = int16(wire.ResourceNotFound), &text
	}
	for _, i := range infos {
		c := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
		c.Mechanism, c.Iterations = int8(i.Mechanism), int32(i.Iterations)
		sr.CredentialInfos = append(sr.CredentialInfos, c)
	}
	return sr
}
