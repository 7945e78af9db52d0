package share

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// runAdmin runs the requests of tools in a script.
func (s *requests) runAdmin(what string, args []string) {
	switch what {
	case "describe":
		req := kmsg.NewPtrShareGroupDescribeRequest()
		req.Version, req.GroupIDs = 1, []string{"g"}
		s.ask(s.Describe(req), showDescribe)
	case "offsets":
		req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		req.Version = 1
		rg := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
		rg.GroupID = "g"
		for _, arg := range args {
			tp := s.tp(arg)
			rt := kmsg.NewDescribeShareGroupOffsetsRequestGroupTopic()
			rt.Topic, rt.Partitions = fmt.Sprint("t", tp.Topic[15]), []int32{tp.Partition}
			rg.Topics = append(rg.Topics, rt)
		}
		req.Groups = append(req.Groups, rg)
		s.ask(s.DescribeOffsets(req), showOffsets)
	case "alter":
		req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
		req.GroupID = "g"
		tp := s.tp(args[0])
		rt := kmsg.NewAlterShareGroupOffsetsRequestTopic()
		rt.Topic = fmt.Sprint("t", tp.Topic[15])
		rp := kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
		rp.Partition, rp.StartOffset = tp.Partition, s.number(args[1])
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		s.ask(s.AlterOffsets(req), func(resp kmsg.Response) string {
			r := resp.(*kmsg.AlterShareGroupOffsetsResponse)
			text := wire.Code(r.ErrorCode).Name()
			for _, t := range r.Topics {
				text += " " + wire.Code(t.Partitions[0].ErrorCode).Name()
			}
			return text
		})
	case "forget":
		req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
		req.GroupID = "g"
		rt := kmsg.NewDeleteShareGroupOffsetsRequestTopic()
		rt.Topic = args[0]
		req.Topics = append(req.Topics, rt)
		s.ask(s.DeleteOffsets(req), func(resp kmsg.Response) string {
			r := resp.(*kmsg.DeleteShareGroupOffsetsResponse)
			text := wire.Code(r.ErrorCode).Name()
			for _, t := range r.Topics {
				text += " " + wire.Code(t.ErrorCode).Name()
			}
			return text
		})
	case "delete":
		wait := s.Delete("g")
		s.ask(func(ctx context.Context) (kmsg.Response, error) {
			code, err := wait(ctx)
			return &kmsg.DeleteGroupsResponse{Groups: []kmsg.DeleteGroupsResponseGroup{{ErrorCode: int16(code)}}}, err
		}, func(resp kmsg.Response) string {
			return wire.Code(resp.(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode).Name()
		})
	}
}

func showDescribe(resp kmsg.Response) string {
	g := resp.(*kmsg.ShareGroupDescribeResponse).Groups[0]
	text := fmt.Sprintf("%s %s epoch %d", wire.Code(g.ErrorCode), g.GroupState, g.GroupEpoch)
	for _, m := range g.Members {
		text += fmt.Sprintf("\n  %s epoch %d %v", m.MemberID, m.MemberEpoch, m.SubscribedTopicNames)
		for _, t := range m.Assignment.TopicPartitions {
			text += fmt.Sprintf(" %s%v", t.Topic, t.Partitions)
		}
	}
	return text
}

func showOffsets(resp kmsg.Response) string {
	g := resp.(*kmsg.DescribeShareGroupOffsetsResponse).Groups[0]
	text := wire.Code(g.ErrorCode).Name()
	for _, t := range g.Topics {
		for _, p := range t.Partitions {
			text += fmt.Sprintf("\n  %s/%d %s start %d lag %d", t.Topic, p.Partition, wire.Code(p.ErrorCode), p.StartOffset, p.Lag)
		}
	}
	return text
}
