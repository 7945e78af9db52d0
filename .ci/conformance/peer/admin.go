package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// admin puts a broker through what kadm, franz-go's admin client, can ask of it,
// and writes a line for each step: its name, and what was wrong. Nothing but
// what the steps make may lie in the broker.
func admin(ctx context.Context, p *peer) error {
	cl, err := p.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	a := &administration{cl: cl, adm: kadm.NewClient(cl)}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"topics and their configs", a.topics}, {"partitions are added", a.partitions},
		{"offsets by place and time", a.offsets}, {"offsets of groups", a.commits}, {"a group with members", a.group},
		{"records are deleted", a.trim}, {"transactions and producers", a.transactions}, {"rules", a.rules},
		{"quotas", a.quotas}, {"users", a.users}, {"the cluster", a.cluster}, {"groups and topics go", a.deletion},
	} {
		why := ""
		if err := step.do(ctx); err != nil {
			why = err.Error()
		}
		if err := p.write(map[string]string{"step": step.name, "wrong": why}); err != nil {
			return err
		}
	}
	return nil
}

type administration struct {
	cl  *kgo.Client
	adm *kadm.Client
}

func same(what string, got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}

func (a *administration) topics(ctx context.Context) error {
	week, size := "604800001", "2000000"
	made, err := a.adm.CreateTopic(ctx, 3, 1, map[string]*string{"retention.ms": &week}, "one")
	if err != nil {
		return err
	}
	_, again := a.adm.CreateTopic(ctx, 3, 1, nil, "one")
	_, dry := a.adm.ValidateCreateTopics(ctx, 1, 1, nil, "never")
	altered, err := a.adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &size}, {Op: kadm.AppendConfig, Name: "cleanup.policy", Value: new("compact")},
	}, "one")
	if err == nil {
		_, err = altered.On("one", nil)
	}
	if err != nil {
		return err
	}
	described, err := a.adm.DescribeTopicConfigs(ctx, "one")
	if err != nil {
		return err
	}
	set := map[string]string{}
	for _, c := range described[0].Configs {
		if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
			set[c.Key] = c.MaybeValue()
		}
	}
	listed, err := a.adm.ListTopics(ctx)
	return errors.Join(err, dry,
		same("making it again", errors.Is(again, kerr.TopicAlreadyExists), true),
		same("topics", listed.Names(), []string{"one"}),
		same("partitions", len(listed["one"].Partitions), 3),
		same("id", listed["one"].ID, made.ID),
		same("configs that are set", set, map[string]string{"retention.ms": week, "max.message.bytes": size, "cleanup.policy": "delete,compact"}))
}

func (a *administration) partitions(ctx context.Context) error {
	cleanup := []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "cleanup.policy"}}
	if _, err := a.adm.AlterTopicConfigs(ctx, cleanup, "one"); err != nil {
		return err
	}
	if _, err := a.adm.ValidateCreatePartitions(ctx, 7, "one"); err != nil {
		return err
	}
	added, err := a.adm.CreatePartitions(ctx, 1, "one")
	if err == nil {
		err = added["one"].Err
	}
	fewer, ferr := a.adm.UpdatePartitions(ctx, 2, "one")
	listed, lerr := a.adm.ListTopics(ctx, "one")
	return errors.Join(err, ferr, lerr, same("partitions", len(listed["one"].Partitions), 4),
		same("fewer of them", errors.Is(fewer["one"].Err, kerr.InvalidPartitions), true))
}

// recordTime is when record i of a partition was made.
func recordTime(i int) time.Time {
	return time.UnixMilli(time.Now().Add(-time.Hour).UnixMilli() / 3_600_000 * 3_600_000).Add(time.Duration(i) * time.Second)
}

func (a *administration) offsets(ctx context.Context) error {
	for p := range int32(2) {
		for i := range 10 {
			r := &kgo.Record{Topic: "one", Partition: p, Value: fmt.Append(nil, i), Timestamp: recordTime(i)}
			if err := a.cl.ProduceSync(ctx, r).FirstErr(); err != nil {
				return err
			}
		}
	}
	ends, eerr := a.adm.ListEndOffsets(ctx, "one")
	starts, serr := a.adm.ListStartOffsets(ctx, "one")
	late, lerr := a.adm.ListOffsetsAfterMilli(ctx, recordTime(4).UnixMilli()-1, "one")
	most, merr := a.adm.ListMaxTimestampOffsets(ctx, "one")
	at := func(l kadm.ListedOffsets) []int64 {
		var out []int64
		for p := range int32(4) {
			o, _ := l.Lookup("one", p)
			out = append(out, o.Offset)
		}
		return out
	}
	return errors.Join(eerr, serr, lerr, merr, same("ends", at(ends), []int64{10, 10, 0, 0}), same("starts", at(starts), []int64{0, 0, 0, 0}),
		same("by time", at(late), []int64{4, 4, 0, 0}), same("greatest times", at(most)[:2], []int64{9, 9}))
}

func (a *administration) commits(ctx context.Context) error {
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: "one", Partition: 0, At: 4, LeaderEpoch: 0, Metadata: "m"})
	os.Add(kadm.Offset{Topic: "one", Partition: 1, At: 10, LeaderEpoch: -1})
	if err := a.adm.CommitAllOffsets(ctx, "g", os); err != nil {
		return err
	}
	got, ferr := a.adm.FetchOffsets(ctx, "g")
	lags, lerr := a.adm.Lag(ctx, "g")
	if err := errors.Join(ferr, lerr, got.Error(), lags.Error()); err != nil {
		return err
	}
	var dropped kadm.TopicsSet
	dropped.Add("one", 1)
	gone, derr := a.adm.DeleteOffsets(ctx, "g", dropped)
	rest, rerr := a.adm.FetchOffsets(ctx, "g")
	one, _ := got.Lookup("one", 0)
	_, there := rest.Lookup("one", 1)
	return errors.Join(derr, rerr, gone.Error(), same("an offset", one.Offset, kadm.Offset{Topic: "one", Partition: 0, At: 4, Metadata: "m", TopicID: one.TopicID}),
		same("lag", lags["g"].Lag.Total(), int64(6)), same("an offset that was deleted is there", there, false))
}

func (a *administration) group(ctx context.Context) error {
	m, err := kgo.NewClient(append(a.cl.Opts(), kgo.ConsumerGroup("members"), kgo.ConsumeTopics("one"), kgo.InstanceID("static"),
		kgo.DisableAutoCommit())...)
	if err != nil {
		return err
	}
	defer m.Close()
	n := 0
	for n < 20 {
		fs := m.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return err
		}
		n += fs.NumRecords()
	}
	if err := m.CommitUncommittedOffsets(ctx); err != nil {
		return err
	}
	described, derr := a.adm.DescribeGroups(ctx, "members")
	listed, lerr := a.adm.ListGroups(ctx)
	refused, xerr := a.adm.DeleteGroup(ctx, "members")
	left, rerr := a.adm.LeaveGroup(ctx, kadm.LeaveGroup("members").InstanceIDs("static").Reason("tried"))
	if err := errors.Join(derr, lerr, rerr); err != nil {
		return err
	}
	g := described["members"]
	if len(g.Members) != 1 {
		return fmt.Errorf("members: %v", g.Members)
	}
	assigned := described.AssignedPartitions()
	return errors.Join(left.Error(), same("state", g.State, "Stable"), same("instance", *g.Members[0].InstanceID, "static"),
		same("partitions it has", len(assigned["one"]), 4), same("groups", listed.Groups(), []string{"g", "members"}),
		same("deleting it", errors.Is(errors.Join(xerr, refused.Err), kerr.NonEmptyGroup), true))
}

func (a *administration) trim(ctx context.Context) error {
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: "one", Partition: 0, At: 6})
	gone, err := a.adm.DeleteRecords(ctx, os)
	if err != nil {
		return err
	}
	starts, err := a.adm.ListStartOffsets(ctx, "one")
	low, _ := gone.Lookup("one", 0)
	o, _ := starts.Lookup("one", 0)
	return errors.Join(err, gone.Error(), same("low watermark", low.LowWatermark, int64(6)), same("start", o.Offset, int64(6)))
}

func (a *administration) transactions(ctx context.Context) error {
	p, err := kgo.NewClient(append(a.cl.Opts(), kgo.TransactionalID("x"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.BeginTransaction(); err != nil {
		return err
	}
	if err := p.ProduceSync(ctx, &kgo.Record{Topic: "one", Partition: 2, Value: []byte("open")}).FirstErr(); err != nil {
		return err
	}
	listed, lerr := a.adm.ListTransactions(ctx, nil, []string{"Ongoing"})
	described, derr := a.adm.DescribeTransactions(ctx, "x")
	var where kadm.TopicsSet
	where.Add("one", 2)
	producers, perr := a.adm.DescribeProducers(ctx, where)
	stable, serr := a.adm.ListCommittedOffsets(ctx, "one")
	if err := errors.Join(lerr, derr, perr, serr); err != nil {
		return err
	}
	at, _ := stable.Lookup("one", 2)
	ids := producers["one"].Partitions[2].ActiveProducers
	if err := errors.Join(same("transactions", listed.TransactionalIDs(), []string{"x"}), same("state", described["x"].State, "Ongoing"),
		same("its partitions", described["x"].Topics, where), same("producers", len(ids), 1), same("last stable offset", at.Offset, int64(0)),
	); err != nil {
		return err
	}
	if err := p.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	stable, err = a.adm.ListCommittedOffsets(ctx, "one")
	at, _ = stable.Lookup("one", 2)
	return errors.Join(err, same("last stable offset afterwards", at.Offset, int64(2)))
}

func (a *administration) rules(ctx context.Context) error {
	rule := func() *kadm.ACLBuilder {
		return kadm.NewACLs().Topics("one", "two").Allow("User:alice").AllowHosts().Operations(kadm.OpRead, kadm.OpWrite).
			ResourcePatternType(kadm.ACLPatternPrefixed)
	}
	made, err := a.adm.CreateACLs(ctx, rule())
	if err != nil {
		return err
	}
	for _, r := range made {
		if r.Err != nil {
			return r.Err
		}
	}
	count := func() (int, error) {
		found, err := a.adm.DescribeACLs(ctx, kadm.NewACLs().AnyResource().Allow("User:alice").AllowHosts().Deny().DenyHosts().Operations().
			ResourcePatternType(kadm.ACLPatternAny))
		n := 0
		for _, f := range found {
			err = errors.Join(err, f.Err)
			n += len(f.Described)
		}
		return n, err
	}
	had, herr := count()
	_, derr := a.adm.DeleteACLs(ctx, rule())
	has, aerr := count()
	return errors.Join(herr, derr, aerr, same("rules", had, 4), same("rules afterwards", has, 0))
}

func (a *administration) quotas(ctx context.Context) error {
	entity := kadm.ClientQuotaEntity{{Type: "user", Name: new("alice")}}
	change := func(remove bool) error {
		done, err := a.adm.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
			Entity: entity, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 12345, Remove: remove}}}})
		for _, d := range done {
			err = errors.Join(err, d.Err)
		}
		return err
	}
	found := func() ([]float64, error) {
		all, err := a.adm.DescribeClientQuotas(ctx, true, []kadm.DescribeClientQuotaComponent{{Type: "user", MatchName: new("alice")}})
		var out []float64
		for _, q := range all {
			for _, v := range q.Values {
				out = append(out, v.Value)
			}
		}
		return out, err
	}
	serr := change(false)
	had, herr := found()
	derr := change(true)
	has, aerr := found()
	return errors.Join(serr, herr, derr, aerr, same("quotas", had, []float64{12345}), same("quotas afterwards", len(has), 0))
}

func (a *administration) users(ctx context.Context) error {
	made, err := a.adm.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{
		{User: "carol", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "secret"},
		{User: "carol", Mechanism: kadm.ScramSha512, Iterations: 5000, Password: "secret"},
	})
	if err = errors.Join(err, made.Error()); err != nil {
		return err
	}
	described, err := a.adm.DescribeUserSCRAMs(ctx, "carol")
	if err != nil {
		return err
	}
	got := described["carol"].CredInfos
	slices.SortFunc(got, func(x, y kadm.CredInfo) int { return int(x.Mechanism) - int(y.Mechanism) })
	gone, err := a.adm.AlterUserSCRAMs(ctx, []kadm.DeleteSCRAM{
		{User: "carol", Mechanism: kadm.ScramSha256}, {User: "carol", Mechanism: kadm.ScramSha512}}, nil)
	return errors.Join(err, gone.Error(), same("credentials", got, []kadm.CredInfo{
		{Mechanism: kadm.ScramSha256, Iterations: 4096}, {Mechanism: kadm.ScramSha512, Iterations: 5000}}))
}

func (a *administration) cluster(ctx context.Context) error {
	meta, merr := a.adm.BrokerMetadata(ctx)
	dirs, derr := a.adm.DescribeAllLogDirs(ctx, nil)
	versions, verr := a.adm.ApiVersions(ctx)
	coordinators := a.adm.FindGroupCoordinators(ctx, "g")
	var moved kadm.TopicsSet
	moved.Add("one", 0)
	elected, eerr := a.adm.ElectLeaders(ctx, kadm.ElectPreferredReplica, moved)
	moving, rerr := a.adm.ListPartitionReassignments(ctx, moved)
	epochs := kadm.OffsetForLeaderEpochRequest{}
	epochs.Add("one", 1, 0)
	ends, oerr := a.adm.OffsetForLeaderEpoch(ctx, epochs)
	if err := errors.Join(merr, derr, verr, eerr, rerr, oerr, coordinators.Error()); err != nil {
		return err
	}
	size := int64(0)
	for _, d := range dirs {
		if err := d.Error(); err != nil {
			return err
		}
		size += d.Size()
	}
	return errors.Join(same("brokers", len(meta.Brokers), 1), same("controller", meta.Controller, meta.Brokers[0].NodeID),
		same("bytes in its directories are counted", size > 0, true), same("versions of brokers", len(versions), 1),
		same("coordinator", coordinators["g"].NodeID, meta.Brokers[0].NodeID), same("partitions that move", len(moving), 0),
		same("election of who leads", errors.Is(elected["one"][0].Err, kerr.ElectionNotNeeded), true),
		same("end of epoch 0", ends["one"][1].EndOffset, int64(10)))
}

func (a *administration) deletion(ctx context.Context) error {
	groups, gerr := a.adm.DeleteGroups(ctx, "g", "members")
	topics, terr := a.adm.DeleteTopics(ctx, "one")
	if err := errors.Join(gerr, terr, groups.Error(), topics.Error()); err != nil {
		return err
	}
	left, lerr := a.adm.ListGroups(ctx)
	// kadm would ask the client, which remembers topics for a while.
	meta, merr := kmsg.NewPtrMetadataRequest().RequestWith(ctx, a.cl)
	if err := errors.Join(lerr, merr); err != nil {
		return err
	}
	var names []string
	for _, t := range meta.Topics {
		if !t.IsInternal {
			names = append(names, *t.Topic)
		}
	}
	return errors.Join(same("groups", len(left.Groups()), 0), same("topics", len(names), 0))
}
