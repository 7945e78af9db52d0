package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/tarn-io/tarn/broker/storage/sqlite"
)

type resetCmd struct {
	connect
	All   bool   `help:"Delete what a broker that does not run keeps in --data: log, schemas, users, tables."`
	Dev   bool   `help:"Set a running tarn dev back to what it began with."`
	Topic string `placeholder:"NAME" help:"Make a topic anew, empty: with its partitions and configs, without its records, tables and groups' offsets. Its schemas stay."`
	Group string `placeholder:"NAME" help:"Delete a group with all its offsets; it must have no members."`
	Yes   bool   `short:"y" help:"Do not ask for the name."`
	dryRunFlag

	would string // be deleted, in a dry run
}

// errDryRun ends a dry run where it would begin to delete.
var errDryRun = errors.New("a dry run deletes nothing")

// Help shows examples.
func (c *resetCmd) Help() string {
	return `For development: it begins anew. Before anything is deleted it asks for the name of it.

  tarn reset --all --data ./tarn-data
  tarn reset --topic orders --dry-run
  tarn reset --topic orders -y
  tarn reset --group billing
  tarn reset --dev --http http://127.0.0.1:8081`
}

// Run resets what the flag says.
func (c *resetCmd) Run(ctx context.Context, std stdio) error {
	given := 0
	for _, is := range []bool{c.All, c.Dev, c.Topic != "", c.Group != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return &exitError{code: 2, err: errors.New("say what to reset, by one of --all, --dev, --topic NAME and --group NAME")}
	}
	done := func(err error, what, name, text string) error {
		if errors.Is(err, errDryRun) {
			text = "this would delete " + c.would
		} else if err != nil {
			return err
		}
		return c.say(std, map[string]any{what: name, "status": c.did("reset")}, text)
	}
	switch {
	case c.All:
		dir := absolute(c.Data)
		return done(c.data(ctx, std, dir), "data", dir, dir+" is empty: the next tarn serve begins anew")
	case c.Dev:
		return done(c.dev(ctx), "dev", "", "tarn dev is as it began")
	case c.Topic != "":
		return done(c.topic(ctx, std), "topic", c.Topic, c.Topic+" is empty, with its partitions and configs")
	}
	return done(c.group(ctx, std), "group", c.Group, c.Group+" and its offsets are deleted")
}

// dev sets a running tarn dev back.
func (c *resetCmd) dev(ctx context.Context) error {
	method, path, then := http.MethodPost, "/_dev/reset", error(nil)
	if c.DryRun {
		c.would = "all that tarn dev holds and its --seed does not bring"
		method, path, then = http.MethodGet, "/_dev", errDryRun
	}
	if err := c.call(ctx, method, path, nil, nil); err != nil {
		return fmt.Errorf("reset tarn dev (is it one, and not tarn serve?): %w", err)
	}
	return then
}

// sure asks a person to type the name of what is to be deleted. A dry run ends here.
func (c *resetCmd) sure(std stdio, what, name string) error {
	if c.DryRun {
		c.would = what
		return errDryRun
	}
	if c.Yes {
		return nil
	}
	fmt.Fprintf(std.err, "This deletes %s. Type %s to go on: ", what, name)
	typed, err := bufio.NewReader(std.in).ReadString('\n')
	if strings.TrimSpace(typed) == name {
		return nil
	}
	if typed == "" && err != nil {
		return errors.New("nobody answers: nothing was deleted; give -y where nobody is asked")
	}
	return fmt.Errorf("%q is not %s: nothing was deleted", strings.TrimSpace(typed), name)
}

// data deletes what brokers make in a data directory, and nothing else there.
func (c *resetCmd) data(ctx context.Context, std stdio, dir string) error {
	store := filepath.Join(dir, "tarn.db")
	if _, err := os.Stat(store); err != nil {
		return fmt.Errorf("%s is no data directory of a broker (--data): %w", dir, err)
	}
	e, err := sqlite.Open(ctx, sqlite.Config{Path: store})
	switch {
	case errors.Is(err, sqlite.ErrLocked):
		return fmt.Errorf("stop the broker first: %w", err)
	case err == nil:
		err = e.Close()
	}
	if err != nil {
		// A store that is damaged is one more reason to begin anew.
		fmt.Fprintf(std.err, "%s cannot be opened: %v\n", store, err)
	}
	if err := c.sure(std, "log, schemas, users and tables in "+dir, filepath.Base(dir)); err != nil {
		return err
	}
	for _, name := range []string{"run.json", "warehouse", "tarn.db-wal", "tarn.db-shm", "tarn.db"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reset %s: %w", dir, err)
		}
	}
	return nil
}

// topic deletes a topic with its tables and makes it again.
func (c *resetCmd) topic(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	found, err := adm.ListTopics(kadm.WithAuthorizedOps(ctx), c.Topic)
	if err != nil {
		return fmt.Errorf("look at topic %q: %w", c.Topic, err)
	}
	if err := wouldDelete(found[c.Topic]); err != nil {
		return ofTopic(c.Topic, err)
	}
	configs, err := ownConfigs(ctx, adm, c.Topic)
	if err != nil {
		return err
	}
	if err := c.sure(std, "all records and tables of topic "+c.Topic, c.Topic); err != nil {
		return err
	}
	if err := c.deleteWithTables(ctx, adm, c.Topic); err != nil {
		return fmt.Errorf("delete topic %q: %w", c.Topic, err)
	}
	answer, err := adm.CreateTopic(ctx, int32(len(found[c.Topic].Partitions)), -1, configs, c.Topic)
	if err != nil {
		return fmt.Errorf("topic %q is deleted, and making it again failed: %w", c.Topic, told(err, answer.ErrMessage))
	}
	return nil
}

// ownConfigs are the configs that were set on a topic.
func ownConfigs(ctx context.Context, adm *kadm.Client, topic string) (map[string]*string, error) {
	described, err := adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("configs of topic %q: %w", topic, err)
	}
	out := map[string]*string{}
	for _, one := range described {
		if err := told(one.Err, one.ErrMessage); err != nil {
			return nil, fmt.Errorf("configs of topic %q: %w", topic, err)
		}
		for _, e := range one.Configs {
			if e.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
				out[e.Key] = e.Value
			}
		}
	}
	return out, nil
}

// deleteWithTables deletes a topic and then its tables, if nobody writes them any more.
func (c *connect) deleteWithTables(ctx context.Context, adm *kadm.Client, topic string) error {
	at := "/api/tables/" + url.PathEscape(topic)
	var st tableStatus
	known := c.call(ctx, http.MethodGet, at, nil, &st) == nil
	if _, err := adm.DeleteTopic(ctx, topic); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return err
	}
	if !known {
		return nil
	}
	if err := c.sinkGone(ctx, at); err != nil {
		return err
	}
	return c.dropTables(ctx, st)
}

// group deletes a group.
func (c *resetCmd) group(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	if c.DryRun {
		there, err := adm.ListGroups(ctx)
		if err != nil {
			return err
		}
		g, ok := there[c.Group]
		if err := wouldDeleteGroup(g, ok); err != nil {
			return fmt.Errorf("group %q: %w", c.Group, err)
		}
	}
	if err := c.sure(std, "group "+c.Group+" and its offsets", c.Group); err != nil {
		return err
	}
	answer, err := adm.DeleteGroup(ctx, c.Group)
	if err = errors.Join(err, answer.Err); err != nil {
		return fmt.Errorf("group %q: %w", c.Group, told(err, answer.ErrMessage))
	}
	return nil
}
