package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

type quotaCmd struct {
	List quotaListCmd `cmd:"" help:"List the quotas of users, clients and addresses."`
	Set  quotaSetCmd  `cmd:"" help:"Set quotas, or take them back."`
}

type quotaListCmd struct {
	connect
}

// Run lists one row a quota.
func (c *quotaListCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	all, err := adm.DescribeClientQuotas(ctx, false, nil)
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"ENTITY", "QUOTA", "VALUE"}}
	for _, q := range all {
		for _, v := range q.Values {
			s.add(entityText(q.Entity), v.Key, strconv.FormatFloat(v.Value, 'f', -1, 64))
		}
	}
	return s.write(std.out, c.Output)
}

// entityText is an entity as the flags of quota set say it.
func entityText(e kadm.ClientQuotaEntity) string {
	words := make([]string, len(e))
	for i, part := range e {
		words[i] = part.String()
	}
	return strings.Join(words, ",")
}

type quotaSetCmd struct {
	connect
	ForUser   string   `name:"for-user" placeholder:"NAME" help:"User; * is everybody without a quota of their own."`
	ForClient string   `name:"for-client" placeholder:"ID" help:"Client id, alone or with --for-user; * is all others."`
	ForIP     string   `name:"for-ip" placeholder:"ADDR" help:"Address; * is all others."`
	Quotas    []string `arg:"" name:"quota" placeholder:"KEY=VALUE" help:"producer_byte_rate, consumer_byte_rate, request_percentage, controller_mutation_rate; of addresses connection_creation_rate. KEY= takes one back."`
	dryRunFlag
}

// Run changes the quotas of one entity.
func (c *quotaSetCmd) Run(ctx context.Context, std stdio) error {
	entry := kadm.AlterClientQuotaEntry{}
	for _, part := range []struct{ kind, name string }{{"user", c.ForUser}, {"client-id", c.ForClient}, {"ip", c.ForIP}} {
		switch part.name {
		case "":
		case "*":
			entry.Entity = append(entry.Entity, kadm.ClientQuotaEntityComponent{Type: part.kind})
		default:
			entry.Entity = append(entry.Entity, kadm.ClientQuotaEntityComponent{Type: part.kind, Name: &part.name})
		}
	}
	if len(entry.Entity) == 0 {
		return errors.New("say whose quotas: --for-user, --for-client, both, or --for-ip")
	}
	values, err := keyValues(c.Quotas)
	if err != nil {
		return err
	}
	for key, text := range values {
		op := kadm.AlterClientQuotaOp{Key: key, Remove: text == ""}
		if !op.Remove {
			if op.Value, err = strconv.ParseFloat(text, 64); err != nil {
				return fmt.Errorf("%s=%s: %q is no number", key, text, text)
			}
		}
		entry.Ops = append(entry.Ops, op)
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	alter := adm.AlterClientQuotas
	if c.DryRun {
		alter = adm.ValidateAlterClientQuotas
	}
	answers, err := alter(ctx, []kadm.AlterClientQuotaEntry{entry})
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Err != nil {
			return told(a.Err, a.ErrMessage)
		}
	}
	return c.say(std, map[string]any{"entity": entityText(entry.Entity), "status": c.did("changed")}, entityText(entry.Entity)+" "+c.did("changed"))
}
