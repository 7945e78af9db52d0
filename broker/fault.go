package broker

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// Asked is a request as Config.Faults sees it.
type Asked struct {
	// Key is Kafka's API key.
	Key int16
	// ClientID is what the client calls itself.
	ClientID string
	// Topics are the names of the topics that it is about, as far as it names any.
	Topics []string
}

// Fault is what goes wrong with a request. The zero value is nothing.
type Fault struct {
	// Delay is how long the request waits before anything else; those behind it on
	// the same connection wait, too.
	Delay time.Duration
	// Code is answered for everything the request names, which is not done.
	Code wire.Code
	// Drop ends the connection instead of doing anything.
	Drop bool
	// Lose does what is asked, and ends the connection instead of answering: the
	// client cannot know what has become of it.
	Lose bool
}

// errFault ends a connection that a fault has taken.
var errFault = errors.New("connection ended by an injected fault")

// handle sets a request off, unless a fault is due.
func (c *connection) handle(ctx context.Context, r *api.Request) (api.Reply, error) {
	if c.b.cfg.Faults == nil {
		return c.b.handlers.Handle(ctx, r)
	}
	f := c.b.cfg.Faults(Asked{Key: r.Body.Key(), ClientID: r.ClientID, Topics: c.b.named(r.Body)})
	if f.Delay > 0 {
		if err := sleep(ctx, f.Delay); err != nil {
			return nil, err
		}
	}
	switch {
	case f.Drop:
		return nil, errFault
	case f.Code != wire.None:
		resp := failed(r.Body, f.Code)
		return func(context.Context) (kmsg.Response, error) { return resp, nil }, nil
	}
	reply, err := c.b.handlers.Handle(ctx, r)
	if err != nil || !f.Lose {
		return reply, err
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		if _, err := reply(ctx); err != nil {
			return nil, err
		}
		return nil, errFault
	}, nil
}

// named lists the topics that a request is about, by name.
func (b *Broker) named(body kmsg.Request) []string {
	var out []string
	topics := reflect.ValueOf(body).Elem().FieldByName("Topics")
	if !topics.IsValid() || topics.Kind() != reflect.Slice {
		return nil
	}
	for i := range topics.Len() {
		t := topics.Index(i)
		if t.Kind() == reflect.String {
			out = append(out, t.String())
			continue
		}
		if t.Kind() != reflect.Struct {
			continue
		}
		if name := t.FieldByName("Topic"); name.IsValid() && textOf(name) != "" {
			out = append(out, textOf(name))
		} else if id, ok := fieldOf[[16]byte](t, "TopicID"); ok {
			if found := b.topics.View().ByID(storage.TopicID(id)); found != nil {
				out = append(out, found.Name)
			}
		}
	}
	return out
}

// textOf is a string, or what a pointer to one points to.
func textOf(v reflect.Value) string {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	return ""
}

func fieldOf[T any](v reflect.Value, name string) (out T, ok bool) {
	f := v.FieldByName(name)
	if !f.IsValid() {
		return out, false
	}
	out, ok = f.Interface().(T)
	return out, ok
}

// failed answers a request with a code: for each thing that it names where the answer
// has a place for that, else for the whole.
func failed(body kmsg.Request, code wire.Code) kmsg.Response {
	resp := body.ResponseKind()
	out := reflect.ValueOf(resp).Elem()
	if failEach(reflect.ValueOf(body).Elem(), out, code) == 0 {
		failWhole(out, code)
	}
	return resp
}

// failEach gives resp an element for each of req's, with the code in it, and returns
// how many codes it has set.
func failEach(req, resp reflect.Value, code wire.Code) int {
	set := 0
	for i := range resp.NumField() {
		list := resp.Field(i)
		if list.Kind() != reflect.Slice || list.Type().Elem().Kind() != reflect.Struct {
			continue
		}
		asked := req.FieldByName(askedAs(resp.Type().Field(i).Name))
		if !asked.IsValid() || asked.Kind() != reflect.Slice {
			continue
		}
		for j := range asked.Len() {
			one := reflect.New(list.Type().Elem())
			if d, ok := one.Interface().(interface{ Default() }); ok {
				d.Default()
			}
			copyNames(asked.Index(j), one.Elem())
			n := 0
			if asked.Index(j).Kind() == reflect.Struct {
				n = failEach(asked.Index(j), one.Elem(), code)
			}
			if n == 0 && failWhole(one.Elem(), code) {
				n = 1
			}
			set += n
			list.Set(reflect.Append(list, one.Elem()))
		}
	}
	return set
}

// askedAs is what a list of answers is called in the request.
func askedAs(name string) string {
	if name == "Coordinators" {
		return "CoordinatorKeys"
	}
	return name
}

func failWhole(resp reflect.Value, code wire.Code) bool {
	f := resp.FieldByName("ErrorCode")
	if !f.IsValid() || f.Kind() != reflect.Int16 {
		return false
	}
	f.SetInt(int64(code))
	return true
}

// copyNames takes over what an element is called: fields of the same name and type, or
// of a bare name or number the field that stands for it.
func copyNames(from, to reflect.Value) {
	if from.Kind() != reflect.Struct {
		for _, name := range []string{"Topic", "Group", "Key", "Partition"} {
			switch f := to.FieldByName(name); {
			case !f.IsValid():
			case f.Type() == from.Type():
				f.Set(from)
				return
			case f.Kind() == reflect.Pointer && f.Type().Elem() == from.Type():
				p := reflect.New(from.Type())
				p.Elem().Set(from)
				f.Set(p)
				return
			}
		}
		return
	}
	for i := range from.NumField() {
		f := from.Field(i)
		if t := to.FieldByName(from.Type().Field(i).Name); t.IsValid() && t.Type() == f.Type() && f.Kind() != reflect.Slice && f.Kind() != reflect.Struct {
			t.Set(f)
		}
	}
}

// ErrNoMembers says that a group has nobody to rebalance.
var ErrNoMembers = errors.New("the group has no members")

// Rebalance makes a group rebalance by taking a member out, as if it had left: it will
// find out, and join again. It returns the member's id. Classic and consumer groups
// have it. Errors: ErrNoMembers, or what the coordinator answered.
func (b *Broker) Rebalance(ctx context.Context, name string) (member string, err error) {
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{name}
	if resp, ok := answered[*kmsg.DescribeGroupsResponse](ctx, b.groups.Describe(describe)); ok && len(resp.Groups) == 1 && len(resp.Groups[0].Members) > 0 {
		m := resp.Groups[0].Members[0]
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Version, leave.Group = 3, name
		leave.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.MemberID, InstanceID: m.InstanceID}}
		left, ok := answered[*kmsg.LeaveGroupResponse](ctx, b.groups.Leave(leave))
		if ok && left.ErrorCode == 0 && len(left.Members) == 1 && left.Members[0].ErrorCode == 0 {
			return m.MemberID, nil
		}
	}
	consumers := kmsg.NewPtrConsumerGroupDescribeRequest()
	consumers.Groups = []string{name}
	resp, ok := answered[*kmsg.ConsumerGroupDescribeResponse](ctx, b.groups.ConsumerDescribe(consumers))
	if !ok || len(resp.Groups) != 1 || len(resp.Groups[0].Members) == 0 {
		return "", fmt.Errorf("group %s: %w", name, ErrNoMembers)
	}
	m := resp.Groups[0].Members[0]
	beat := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	beat.Group, beat.MemberID, beat.InstanceID, beat.MemberEpoch = name, m.MemberID, m.InstanceID, -1
	left, ok := answered[*kmsg.ConsumerGroupHeartbeatResponse](ctx, b.groups.ConsumerHeartbeat(group.Client{}, beat))
	if !ok {
		return "", fmt.Errorf("group %s: no answer", name)
	}
	if left.ErrorCode != 0 {
		return "", fmt.Errorf("group %s: %s", name, wire.Code(left.ErrorCode))
	}
	return m.MemberID, nil
}

// answered waits for what a coordinator answers.
func answered[T kmsg.Response](ctx context.Context, w group.Wait) (out T, ok bool) {
	resp, err := w(ctx)
	if err != nil {
		return out, false
	}
	out, ok = resp.(T)
	return out, ok
}

// ExpireTransaction ends an ongoing transaction as if its time were over: it is
// aborted, and its producer fenced. Errors: *wire.Error.
func (b *Broker) ExpireTransaction(ctx context.Context, id string) error {
	return b.txns.Expire(ctx, id)
}
