package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

type userCmd struct {
	Create userCreateCmd `cmd:"" help:"Create a user, or change the password."`
	List   userListCmd   `cmd:"" help:"List users."`
	Delete userDeleteCmd `cmd:"" help:"Delete users."`
}

type userCreateCmd struct {
	connect
	Name       string   `arg:"" help:"User; the password is the first line of standard input."`
	Mechanisms []string `name:"mechanism" enum:"SCRAM-SHA-256,SCRAM-SHA-512" default:"SCRAM-SHA-256,SCRAM-SHA-512" help:"Kinds of credential: SCRAM-SHA-256, SCRAM-SHA-512 or both; PLAIN takes any of them."`
	Iterations int32    `default:"4096" help:"Iterations, 4096 to 16384."`
	dryRunFlag
}

// Run creates the user. The password is salted here, and never sent.
func (c *userCreateCmd) Run(ctx context.Context, std stdio) error {
	line, err := bufio.NewReader(std.in).ReadString('\n')
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return fmt.Errorf("the first line of standard input has to be the new password: %w", errors.Join(err, errors.New("it is empty")))
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	var set []kadm.UpsertSCRAM
	for _, m := range c.Mechanisms {
		set = append(set, kadm.UpsertSCRAM{User: c.Name, Mechanism: scramOf(m), Iterations: c.Iterations, Password: password})
	}
	if c.DryRun {
		if err := c.mayAlterCluster(ctx); err != nil {
			return err
		}
		if c.Iterations < 4096 || c.Iterations > 16384 {
			return told(kerr.UnacceptableCredential, "iterations are 4096 to 16384")
		}
		return c.say(std, map[string]any{"user": c.Name, "status": "could sign in"}, c.Name+" could sign in")
	}
	answers, err := adm.AlterUserSCRAMs(ctx, nil, set)
	if err != nil {
		return err
	}
	if a := answers[c.Name]; a.Err != nil {
		return told(a.Err, a.ErrMessage)
	}
	return c.say(std, map[string]any{"user": c.Name, "status": "may sign in"}, c.Name+" may sign in")
}

func scramOf(name string) kadm.ScramMechanism {
	if name == "SCRAM-SHA-512" {
		return kadm.ScramSha512
	}
	return kadm.ScramSha256
}

type userListCmd struct {
	connect
}

// Run lists the users.
func (c *userListCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	all, err := adm.DescribeUserSCRAMs(ctx)
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"USER", "MECHANISM", "ITERATIONS"}}
	for _, u := range all.Sorted() {
		for _, i := range u.CredInfos {
			s.add(u.User, i.Mechanism.String(), i.Iterations)
		}
	}
	return s.write(std.out, c.Output)
}

type userDeleteCmd struct {
	connect
	dryRunFlag
	Names []string `arg:"" name:"name" help:"Users to delete."`
}

// Run deletes the users with all their credentials.
func (c *userDeleteCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	all, err := adm.DescribeUserSCRAMs(ctx, c.Names...)
	if err != nil {
		return err
	}
	var del []kadm.DeleteSCRAM
	for _, u := range all.Sorted() {
		if u.Err != nil {
			return fmt.Errorf("%s: %w", u.User, told(u.Err, u.ErrMessage))
		}
		for _, i := range u.CredInfos {
			del = append(del, kadm.DeleteSCRAM{User: u.User, Mechanism: i.Mechanism})
		}
	}
	var done []deed
	if c.DryRun {
		if err := c.mayAlterCluster(ctx); err != nil {
			return err
		}
		for _, u := range all.Sorted() {
			done = append(done, deed{u.User, c.did("deleted"), nil})
		}
		return c.tell(std, "USER", done)
	}
	answers, err := adm.AlterUserSCRAMs(ctx, del, nil)
	if err != nil {
		return err
	}
	for _, a := range answers.Sorted() {
		done = append(done, deed{a.User, "deleted", told(a.Err, a.ErrMessage)})
	}
	return c.tell(std, "USER", done)
}
