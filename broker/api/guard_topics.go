package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
)

func topicGuards() map[int16]guard {
	return map[int16]guard{
		3: rule(guardMetadata), 19: rule(guardCreateTopics), 20: rule(guardDeleteTopics),
		37: rule(guardCreatePartitions), 75: rule(guardTopicPartitions),
	}
}

// guardMetadata wants Describe on each topic, and Create on it or on the cluster
// where it would be made. Whether a name exists is not told to those who may
// not know it; of all topics they see their own.
func guardMetadata(h *Handlers, a *asker, q *kmsg.MetadataRequest, _ *kmsg.MetadataResponse) (bool, func(*kmsg.MetadataResponse)) {
	all := q.Topics == nil || q.Version == 0 && len(q.Topics) == 0
	denied := keep(&q.Topics, func(t *kmsg.MetadataRequestTopic) bool {
		k := keyOfMetadata(q, t)
		name, known := h.nameOf(k.name, k.id, k.byID)
		if !known {
			return true
		}
		if !a.may(acl.Describe, acl.Topic, name) {
			return false
		}
		makes := h.cfg.AutoCreate && (q.Version < 4 || q.AllowAutoTopicCreation) && h.cfg.Topics.View().ByName(name) == nil
		return !makes || a.couldCluster(acl.Create) || a.may(acl.Create, acl.Topic, name)
	})
	none := !all && len(q.Topics) == 0 // version 0 would take that for all
	return false, func(r *kmsg.MetadataResponse) {
		if none {
			r.Topics = r.Topics[:0]
		}
		r.Topics = slices.DeleteFunc(r.Topics, func(t kmsg.MetadataResponseTopic) bool {
			return all && !a.could(acl.Describe, acl.Topic, *t.Topic)
		})
		for i := range r.Topics {
			if t := &r.Topics[i]; q.IncludeTopicAuthorizedOperations && t.ErrorCode == 0 {
				t.AuthorizedOperations = a.operations(acl.Topic, *t.Topic, topicOperations)
			}
		}
		if q.IncludeClusterAuthorizedOperations {
			r.AuthorizedOperations = a.clusterOperations()
		}
		for i := range denied {
			st := kmsg.NewMetadataResponseTopic()
			if k := keyOfMetadata(q, &denied[i]); k.byID {
				st.TopicID = k.id // no secret, while the name is
			} else {
				st.Topic = &k.name
			}
			st.ErrorCode, st.AuthorizedOperations = noTopic, noOperations
			st.Partitions = []kmsg.MetadataResponseTopicPartition{}
			r.Topics = append(r.Topics, st)
		}
	}
}

// clusterOperations are shown to those who may describe the cluster.
func (a *asker) clusterOperations() int32 {
	if !a.couldCluster(acl.Describe) {
		return 0
	}
	return a.operations(acl.Cluster, acl.ClusterName, clusterOperations)
}

// guardCreateTopics wants Create on the cluster or on each topic, and
// DescribeConfigs for the configs in the answer.
func guardCreateTopics(_ *Handlers, a *asker, q *kmsg.CreateTopicsRequest, _ *kmsg.CreateTopicsResponse) (bool, func(*kmsg.CreateTopicsResponse)) {
	cluster := a.couldCluster(acl.Create)
	denied := keep(&q.Topics, func(t *kmsg.CreateTopicsRequestTopic) bool {
		return cluster || a.may(acl.Create, acl.Topic, t.Topic)
	})
	return false, func(r *kmsg.CreateTopicsResponse) {
		for i := range r.Topics {
			t := &r.Topics[i]
			if q.Version >= 5 && t.ErrorCode == 0 && !a.could(acl.DescribeConfigs, acl.Topic, t.Topic) {
				t.ConfigErrorCode, t.Configs = noTopic, nil
				t.NumPartitions, t.ReplicationFactor = -1, -1
			}
		}
		for _, rt := range denied {
			st := kmsg.NewCreateTopicsResponseTopic()
			st.Topic, st.NumPartitions, st.ReplicationFactor = rt.Topic, -1, -1
			st.ErrorCode, st.ErrorMessage = noTopic, refusalText(noTopic)
			r.Topics = append(r.Topics, st)
		}
	}
}

// guardDeleteTopics wants Delete on each topic, or on the cluster (which only a
// rule for all operations gives). A topic named by its id is called by name only
// to those who may describe it; one named by name must be describable as well, and
// that it is not there is told to all who may describe it.
func guardDeleteTopics(h *Handlers, a *asker, q *kmsg.DeleteTopicsRequest, _ *kmsg.DeleteTopicsResponse) (bool, func(*kmsg.DeleteTopicsResponse)) {
	if a.couldCluster(acl.Delete) {
		return false, nil
	}
	var denied []kmsg.DeleteTopicsResponseTopic
	may := func(name *string, known string) bool {
		if name == nil {
			return a.may(acl.Delete, acl.Topic, known)
		}
		if h.cfg.Topics.View().ByName(known) == nil && a.could(acl.Describe, acl.Topic, known) {
			return true // the handler says that there is none
		}
		return a.may(acl.Delete, acl.Topic, known) && a.may(acl.Describe, acl.Topic, known)
	}
	judge := func(name *string, id [16]byte) bool {
		known := ""
		if name != nil {
			known = *name
		} else if t, err := h.lookup("", id, true); err == nil {
			known = t.Name
		} else {
			return true
		}
		if may(name, known) {
			return true
		}
		st := kmsg.NewDeleteTopicsResponseTopic()
		st.Topic, st.TopicID = name, id
		if name == nil && a.could(acl.Describe, acl.Topic, known) {
			st.Topic = &known
		}
		st.ErrorCode, st.ErrorMessage = noTopic, refusalText(noTopic)
		denied = append(denied, st)
		return false
	}
	keep(&q.Topics, func(t *kmsg.DeleteTopicsRequestTopic) bool { return judge(t.Topic, t.TopicID) })
	keep(&q.TopicNames, func(name *string) bool {
		named := *name
		return judge(&named, [16]byte{})
	})
	return false, func(r *kmsg.DeleteTopicsResponse) { r.Topics = append(r.Topics, denied...) }
}

func guardCreatePartitions(_ *Handlers, a *asker, q *kmsg.CreatePartitionsRequest, _ *kmsg.CreatePartitionsResponse) (bool, func(*kmsg.CreatePartitionsResponse)) {
	denied := keep(&q.Topics, func(t *kmsg.CreatePartitionsRequestTopic) bool { return a.may(acl.Alter, acl.Topic, t.Topic) })
	return false, func(r *kmsg.CreatePartitionsResponse) {
		for _, rt := range denied {
			st := kmsg.NewCreatePartitionsResponseTopic()
			st.Topic, st.ErrorCode, st.ErrorMessage = rt.Topic, noTopic, refusalText(noTopic)
			r.Topics = append(r.Topics, st)
		}
	}
}

// guardTopicPartitions wants Describe. All topics are made the ones that may be
// described before the handler pages through them, so that no cursor tells of
// others.
func guardTopicPartitions(h *Handlers, a *asker, q *kmsg.DescribeTopicPartitionsRequest, r *kmsg.DescribeTopicPartitionsResponse) (bool, func(*kmsg.DescribeTopicPartitionsResponse)) {
	var denied []kmsg.DescribeTopicPartitionsRequestTopic
	if len(q.Topics) == 0 {
		for _, t := range h.cfg.Topics.View().All() {
			if a.could(acl.Describe, acl.Topic, t.Name) {
				rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
				rt.Topic = t.Name
				q.Topics = append(q.Topics, rt)
			}
		}
	} else {
		denied = keep(&q.Topics, func(t *kmsg.DescribeTopicPartitionsRequestTopic) bool { return a.may(acl.Describe, acl.Topic, t.Topic) })
	}
	after := func(r *kmsg.DescribeTopicPartitionsResponse) {
		for i := range r.Topics {
			if t := &r.Topics[i]; t.ErrorCode == 0 {
				t.AuthorizedOperations = a.operations(acl.Topic, *t.Topic, topicOperations)
			}
		}
		for _, rt := range denied {
			st := kmsg.NewDescribeTopicPartitionsResponseTopic()
			st.Topic, st.ErrorCode = &rt.Topic, noTopic
			st.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
			r.Topics = append(r.Topics, st)
		}
	}
	if len(q.Topics) == 0 {
		r.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{}
		after(r)
		return true, nil
	}
	return false, after
}
