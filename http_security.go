package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/tarn-io/tarn/broker/acl"
)

// userInfo is a user with kinds of credential.
type userInfo struct {
	Name        string           `json:"name"`
	Credentials []credentialInfo `json:"credentials"`
}

type credentialInfo struct {
	Mechanism  string `json:"mechanism"`
	Iterations int32  `json:"iterations"`
}

// listUsers answers the users, as DescribeUserScramCredentials does.
func (n *node) listUsers(w http.ResponseWriter, r *http.Request) {
	n.withAdmin(w, needing(r, right{acl.Describe, acl.Cluster, acl.ClusterName}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		all, err := adm.DescribeUserSCRAMs(ctx)
		if err != nil {
			return nil, err
		}
		out := []userInfo{}
		for _, u := range all.Sorted() {
			one := userInfo{Name: u.User, Credentials: []credentialInfo{}}
			for _, c := range u.CredInfos {
				one.Credentials = append(one.Credentials, credentialInfo{c.Mechanism.String(), c.Iterations})
			}
			out = append(out, one)
		}
		return out, nil
	})
}

// setUser makes a user or changes the password, for SCRAM of both kinds.
func (n *node) setUser(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Password string `json:"password"`
	}
	if !readJSON(w, r, maxSettingBytes, &in) {
		return
	}
	if in.Password == "" {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: "a user needs a password"})
		return
	}
	name := r.PathValue("user")
	n.withAdmin(w, needing(r, right{acl.Alter, acl.Cluster, acl.ClusterName}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		var set []kadm.UpsertSCRAM
		for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
			set = append(set, kadm.UpsertSCRAM{User: name, Mechanism: m, Iterations: 4096, Password: in.Password})
		}
		all, err := adm.AlterUserSCRAMs(ctx, nil, set)
		if err != nil {
			return nil, err
		}
		return map[string]string{"user": name}, told(all[name].Err, all[name].ErrMessage)
	})
}

// deleteUser takes all credentials of a user away.
func (n *node) deleteUser(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("user")
	n.withAdmin(w, needing(r, right{acl.Alter, acl.Cluster, acl.ClusterName}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		all, err := adm.DescribeUserSCRAMs(ctx, name)
		if err != nil {
			return nil, err
		}
		u := all[name]
		if errors.Is(u.Err, kerr.ResourceNotFound) {
			return nil, fmt.Errorf("user %q: %w", name, errMissing)
		}
		if u.Err != nil {
			return nil, told(u.Err, u.ErrMessage)
		}
		var del []kadm.DeleteSCRAM
		for _, c := range u.CredInfos {
			del = append(del, kadm.DeleteSCRAM{User: name, Mechanism: c.Mechanism})
		}
		gone, err := adm.AlterUserSCRAMs(ctx, del, nil)
		if err != nil {
			return nil, err
		}
		return map[string]string{"deleted": name}, told(gone[name].Err, gone[name].ErrMessage)
	})
}

// quotaPart is a part of whose quotas they are. A null name is everybody without a
// quota of their own.
type quotaPart struct {
	Type string  `json:"type"` // user, client-id or ip
	Name *string `json:"name"`
}

// quotaInfo are the quotas of one entity; in a request null takes one back.
type quotaInfo struct {
	Entity []quotaPart         `json:"entity"`
	Values map[string]*float64 `json:"values"`
}

// listQuotas answers all quotas, as DescribeClientQuotas does.
func (n *node) listQuotas(w http.ResponseWriter, r *http.Request) {
	n.withAdmin(w, needing(r, right{acl.DescribeConfigs, acl.Cluster, acl.ClusterName}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		all, err := adm.DescribeClientQuotas(ctx, false, nil)
		if err != nil {
			return nil, err
		}
		out := []quotaInfo{}
		for _, q := range all {
			one := quotaInfo{Values: map[string]*float64{}}
			for _, c := range q.Entity {
				one.Entity = append(one.Entity, quotaPart{c.Type, c.Name})
			}
			for _, v := range q.Values {
				one.Values[v.Key] = &v.Value
			}
			out = append(out, one)
		}
		return out, nil
	})
}

// setQuota changes the quotas of one entity.
func (n *node) setQuota(w http.ResponseWriter, r *http.Request) {
	var in quotaInfo
	if !readJSON(w, r, maxSettingBytes, &in) {
		return
	}
	if len(in.Entity) == 0 || len(in.Values) == 0 {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: `"entity" says whose quotas, "values" which: neither may be empty`})
		return
	}
	var entry kadm.AlterClientQuotaEntry
	for _, p := range in.Entity {
		entry.Entity = append(entry.Entity, kadm.ClientQuotaEntityComponent{Type: p.Type, Name: p.Name})
	}
	for key, value := range in.Values {
		op := kadm.AlterClientQuotaOp{Key: key, Remove: value == nil}
		if value != nil {
			op.Value = *value
		}
		entry.Ops = append(entry.Ops, op)
	}
	n.withAdmin(w, needing(r, right{acl.AlterConfigs, acl.Cluster, acl.ClusterName}), func(ctx context.Context, adm *kadm.Client) (any, error) {
		all, err := adm.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{entry})
		for _, a := range all {
			err = errors.Join(err, told(a.Err, a.ErrMessage))
		}
		return in, err
	})
}
