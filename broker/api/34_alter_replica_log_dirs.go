package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// AlterReplicaLogDirs (key 34), versions 0–2 (KIP-113). There is one log
// directory: moving a partition there succeeds and changes nothing, any other
// is LOG_DIR_NOT_FOUND.

func (h *Handlers) alterReplicaLogDirs(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.AlterReplicaLogDirsRequest)
	resp := req.ResponseKind().(*kmsg.AlterReplicaLogDirsResponse)
	resp.Topics = []kmsg.AlterReplicaLogDirsResponseTopic{}
	ours, known := h.setting("log.dirs")
	for _, rd := range req.Dirs {
		for _, rt := range rd.Topics {
			st := kmsg.NewAlterReplicaLogDirsResponseTopic()
			st.Topic = rt.Topic
			for _, n := range rt.Partitions {
				err := h.exists(rt.Topic, n)
				if err == nil && (!known || rd.Dir != ours) {
					err = refuse(wire.LogDirNotFound, "%q is not the log directory", rd.Dir)
				}
				sp := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				sp.Partition, sp.ErrorCode = n, h.code(err)
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
	}
	return now(resp)
}

// setting is the value of a setting of the broker.
func (h *Handlers) setting(name string) (value string, ok bool) {
	if h.cfg.BrokerConfigs == nil {
		return "", false
	}
	for _, b := range h.cfg.BrokerConfigs() {
		if b.Name == name {
			return b.Value, true
		}
	}
	return "", false
}

// exists is the error for a partition that is not there.
func (h *Handlers) exists(name string, partition int32) error {
	t, err := h.lookup(name, [16]byte{}, false)
	if err == nil && (partition < 0 || partition >= t.Partitions) {
		err = refuse(wire.UnknownTopicOrPartition, "topic %q has %d partitions", name, t.Partitions)
	}
	return err
}
