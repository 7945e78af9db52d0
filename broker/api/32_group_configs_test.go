package api_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestGroupConfigs sets, shows and replaces configs of a group that does not
// exist.
func TestGroupConfigs(t *testing.T) {
	r := dial(t, brokertest.New(t))
	const kind = kmsg.ConfigResourceTypeGroupConfig
	const key = "share.record.lock.duration.ms"
	set := func(name, config string, op kmsg.IncrementalAlterConfigOp, value string) wire.Code {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		rr := kmsg.NewIncrementalAlterConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kind, name
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op, c.Value = config, op, &value
		rr.Configs = append(rr.Configs, c)
		req.Resources = append(req.Resources, rr)
		return wire.Code(do[*kmsg.IncrementalAlterConfigsResponse](r, 1, req).Resources[0].ErrorCode)
	}
	shown := func() string {
		req := describe(kind, "g", []string{key})
		req.IncludeSynonyms, req.IncludeDocumentation = true, true
		c := do[*kmsg.DescribeConfigsResponse](r, 4, req).Resources[0].Configs[0]
		return fmt.Sprintf("%s %s", described(c), c.ConfigType)
	}
	for _, s := range []struct {
		do   func() wire.Code
		code wire.Code
		want string
	}{
		{func() wire.Code { return 0 }, 0, "30000 from 5 [group.share.record.lock.duration.ms=30000/5] INT"},
		{func() wire.Code { return set("g", key, 0, "15000") }, 0,
			"15000 from 8 [share.record.lock.duration.ms=15000/8 group.share.record.lock.duration.ms=30000/5] INT"},
		{func() wire.Code { return set("g", key, 0, "1") }, wire.InvalidConfig,
			"15000 from 8 [share.record.lock.duration.ms=15000/8 group.share.record.lock.duration.ms=30000/5] INT"},
		{func() wire.Code { return set("g", "unknown", 0, "1") }, wire.InvalidConfig,
			"15000 from 8 [share.record.lock.duration.ms=15000/8 group.share.record.lock.duration.ms=30000/5] INT"},
		{func() wire.Code { return set("g", key, 2, "20000") }, wire.InvalidConfig,
			"15000 from 8 [share.record.lock.duration.ms=15000/8 group.share.record.lock.duration.ms=30000/5] INT"},
		{func() wire.Code { return set("", key, 0, "20000") }, wire.InvalidRequest,
			"15000 from 8 [share.record.lock.duration.ms=15000/8 group.share.record.lock.duration.ms=30000/5] INT"},
		{func() wire.Code { return set("g", key, 1, "") }, 0, "30000 from 5 [group.share.record.lock.duration.ms=30000/5] INT"},
	} {
		if code := s.do(); code != s.code {
			t.Errorf("code %s, want %s", code, s.code)
		}
		if got := shown(); got != s.want {
			t.Errorf("got %s, want %s", got, s.want)
		}
	}
	if code := do[*kmsg.DescribeConfigsResponse](r, 4, describe(kind, "", nil)).Resources[0].ErrorCode; wire.Code(code) != wire.InvalidRequest {
		t.Errorf("group without a name: %s", wire.Code(code))
	}
}
