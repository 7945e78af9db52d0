package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
)

type aclCmd struct {
	Create aclCreateCmd `cmd:"" help:"Add access rules."`
	List   aclListCmd   `cmd:"" help:"List access rules."`
	Delete aclDeleteCmd `cmd:"" help:"Delete the access rules that a filter chooses."`
}

// aclTarget says what rules are about.
type aclTarget struct {
	Topic    string `xor:"resource" placeholder:"NAME" help:"Topic, or * for all."`
	Group    string `xor:"resource" placeholder:"NAME" help:"Consumer group, or *."`
	TxnID    string `name:"transactional-id" xor:"resource" placeholder:"NAME" help:"Transactional id, or *."`
	Subject  string `xor:"resource" placeholder:"NAME" help:"Subject of the schema registry, or *."`
	Username string `name:"user-resource" xor:"resource" placeholder:"NAME" help:"User whose tokens are meant, or *."`
	Cluster  bool   `xor:"resource" help:"The cluster."`
}

// resource is what was chosen, or none.
func (t *aclTarget) resource() (acl.Resource, string) {
	switch {
	case t.Topic != "":
		return acl.Topic, t.Topic
	case t.Group != "":
		return acl.Group, t.Group
	case t.TxnID != "":
		return acl.TransactionalID, t.TxnID
	case t.Subject != "":
		return acl.Subject, t.Subject
	case t.Username == acl.Wildcard:
		return acl.User, acl.Wildcard
	case t.Username != "":
		return acl.User, auth.ParsePrincipal(t.Username).String() // Kafka names them so
	case t.Cluster:
		return acl.Cluster, acl.ClusterName
	}
	return 0, ""
}

type aclCreateCmd struct {
	connect
	aclTarget
	Principal  []string `required:"" placeholder:"NAME" help:"User, or * for everybody; may be repeated."`
	Operations []string `name:"operation" required:"" placeholder:"NAME" help:"read, write, create, delete, alter, describe, all …; may be repeated."`
	Host       string   `default:"*" placeholder:"ADDR" help:"Address the principal comes from."`
	Prefix     bool     `help:"The name is the beginning of names."`
	Deny       bool     `help:"Deny instead of allowing; denying wins."`
	dryRunFlag
}

// Run adds one rule for each principal and operation.
func (c *aclCreateCmd) Run(ctx context.Context, std stdio) error {
	res, name := c.resource()
	if res == 0 {
		return fmt.Errorf("say what the rule is about: --topic, --group, --transactional-id, --subject, --user-resource or --cluster")
	}
	b := acl.Binding{Resource: res, Name: name, Pattern: acl.Literal, Host: c.Host, Permission: acl.Allow}
	if c.Prefix {
		b.Pattern = acl.Prefixed
	}
	if c.Deny {
		b.Permission = acl.Deny
	}
	var all []acl.Binding
	for _, who := range c.Principal {
		for _, op := range c.Operations {
			b.Principal = auth.ParsePrincipal(who).String()
			if err := b.Operation.UnmarshalText([]byte(op)); err != nil {
				return err
			}
			all = append(all, b)
		}
	}
	path := "/api/acls"
	if c.DryRun {
		path = aclCheck
	}
	var made []acl.Binding
	if err := c.call(ctx, http.MethodPost, path, all, &made); err != nil {
		return err
	}
	return c.show(std, made)
}

// aclCheck says whether rules could be made, by who asks.
const aclCheck = "/api/acls/check"

// aclFilter are the flags that choose rules.
type aclFilter struct {
	aclTarget
	Principal string `placeholder:"NAME" help:"Rules of this user."`
	Operation string `placeholder:"NAME" help:"Rules of this operation."`
	Pattern   string `enum:"any,match,literal,prefixed" default:"any" help:"literal, prefixed, any, or match: all that apply to the name."`
}

func (c *aclFilter) filter() (acl.Filter, error) {
	f := acl.Filter{}
	var name string
	if f.Resource, name = c.resource(); f.Resource != 0 {
		f.Name = &name
	} else {
		f.Resource = acl.AnyResource
	}
	if c.Principal != "" {
		who := auth.ParsePrincipal(c.Principal).String()
		f.Principal = &who
	}
	f.Operation, f.Permission = acl.AnyOperation, acl.AnyPermission
	if c.Operation != "" {
		if err := f.Operation.UnmarshalText([]byte(c.Operation)); err != nil {
			return f, err
		}
	}
	return f, f.Pattern.UnmarshalText([]byte(c.Pattern))
}

type aclListCmd struct {
	connect
	aclFilter
}

// Run lists rules.
func (c *aclListCmd) Run(ctx context.Context, std stdio) error {
	return c.chosen(ctx, std, "/api/acls/list", &c.aclFilter)
}

type aclDeleteCmd struct {
	connect
	aclFilter
	All bool `help:"Delete all rules, if nothing else is chosen."`
	dryRunFlag
}

// Run deletes rules and shows which they were.
func (c *aclDeleteCmd) Run(ctx context.Context, std stdio) error {
	if res, _ := c.resource(); res == 0 && c.Principal == "" && c.Operation == "" && !c.All {
		return fmt.Errorf("this would delete all rules: choose some, or say --all")
	}
	if !c.DryRun {
		return c.chosen(ctx, std, "/api/acls/delete", &c.aclFilter)
	}
	if err := c.call(ctx, http.MethodPost, aclCheck, []acl.Binding{}, nil); err != nil {
		return err // who may make no rules may delete none
	}
	return c.chosen(ctx, std, "/api/acls/list", &c.aclFilter)
}

// chosen sends a filter and shows the rules that come back.
func (c *connect) chosen(ctx context.Context, std stdio, path string, flags *aclFilter) error {
	f, err := flags.filter()
	if err != nil {
		return err
	}
	var found []acl.Binding
	if err := c.call(ctx, http.MethodPost, path, f, &found); err != nil {
		return err
	}
	return c.show(std, found)
}

func (c *connect) show(std stdio, all []acl.Binding) error {
	s := sheet{Columns: []string{"RESOURCE", "NAME", "PATTERN", "PRINCIPAL", "HOST", "OPERATION", "PERMISSION"}}
	for _, b := range all {
		s.add(b.Resource.String(), b.Name, b.Pattern.String(), b.Principal, b.Host, b.Operation.String(), b.Permission.String())
	}
	return s.write(std.out, c.Output)
}
