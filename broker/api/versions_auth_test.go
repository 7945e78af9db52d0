package api_test

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// authCalls are requests on a listener that asks nobody who they are.
func authCalls() map[int16]call {
	disabled := int16(wire.DelegationTokenAuthDisabled)
	return map[int16]call{
		17: on(func(_ *world, q *kmsg.SASLHandshakeRequest) { q.Mechanism = "PLAIN" },
			func(_ *world, r *kmsg.SASLHandshakeResponse) (int16, string) {
				return 0, want(r.ErrorCode, int16(wire.IllegalSASLState))
			}),
		36: on(func(_ *world, q *kmsg.SASLAuthenticateRequest) { q.SASLAuthBytes = []byte("\x00u\x00p") },
			func(_ *world, r *kmsg.SASLAuthenticateResponse) (int16, string) {
				return 0, want(r.ErrorCode, int16(wire.IllegalSASLState))
			}),
		38: on(func(*world, *kmsg.CreateDelegationTokenRequest) {},
			func(_ *world, r *kmsg.CreateDelegationTokenResponse) (int16, string) {
				return 0, want(r.ErrorCode, disabled)
			}),
		39: on(func(_ *world, q *kmsg.RenewDelegationTokenRequest) { q.HMAC = []byte("h") },
			func(_ *world, r *kmsg.RenewDelegationTokenResponse) (int16, string) {
				return 0, want(r.ErrorCode, disabled)
			}),
		40: on(func(_ *world, q *kmsg.ExpireDelegationTokenRequest) { q.HMAC = []byte("h") },
			func(_ *world, r *kmsg.ExpireDelegationTokenResponse) (int16, string) {
				return 0, want(r.ErrorCode, disabled)
			}),
		41: on(func(*world, *kmsg.DescribeDelegationTokenRequest) {},
			func(_ *world, r *kmsg.DescribeDelegationTokenResponse) (int16, string) {
				return 0, want(r.ErrorCode, disabled)
			}),
		// In the order of keys: what 51 makes is gone when 50 could see it.
		50: on(func(_ *world, q *kmsg.DescribeUserSCRAMCredentialsRequest) {
			u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
			u.Name = "nobody"
			q.Users = append(q.Users, u)
		}, func(_ *world, r *kmsg.DescribeUserSCRAMCredentialsResponse) (int16, string) {
			return r.ErrorCode, want(r.Results[0].ErrorCode, int16(wire.ResourceNotFound))
		}),
		51: on(func(_ *world, q *kmsg.AlterUserSCRAMCredentialsRequest) {
			u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
			u.Name, u.Mechanism, u.Iterations = "somebody", 1, 4096
			u.Salt, u.SaltedPassword = []byte("salt"), []byte("salted")
			q.Upsertions = append(q.Upsertions, u)
		}, func(_ *world, r *kmsg.AlterUserSCRAMCredentialsResponse) (int16, string) {
			return r.Results[0].ErrorCode, ""
		}),
	}
}
