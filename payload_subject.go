package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/registry"
)

// topicSchema is where the schema of a topic's keys or values is, as the topic's
// configs say, and its Protobuf message; "" is the first.
type topicSchema struct {
	subject, message string
	in               string // the context of ids
	err              error  // why the subject is not known
}

// topicSchemas asks for the schemas of a topic. A topic that is not there has the
// usual subjects.
func (c *connect) topicSchemas(ctx context.Context, cl *kgo.Client, topic string) (key, value topicSchema) {
	set := map[string]string{}
	described, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, topic)
	if one, missing := described.On(topic, nil); err == nil && missing == nil && one.Err == nil {
		for _, config := range one.Configs {
			set[config.Key] = config.MaybeValue()
		}
	}
	return c.topicSchema(ctx, topic, "key", set), c.topicSchema(ctx, topic, "value", set)
}

// topicSchema is that of one part, by the topic's configs. As in the broker, a
// subject that is given comes first, then the association of the topic.
func (c *connect) topicSchema(ctx context.Context, topic, part string, set map[string]string) topicSchema {
	in := set["tarn.schema.context"]
	out := topicSchema{subject: set["tarn."+part+".schema.subject"], message: set["tarn."+part+".schema.message"]}
	strategy := strings.ToLower(set["tarn."+part+".subject.name.strategy"])
	switch {
	case out.subject != "":
	case strategy == "record":
		out.subject = out.message
	case strategy == "topic_record" && out.message != "":
		out.subject = topic + "-" + out.message
	case strategy == "topic_record":
	case in == "" || in == registry.DefaultContext:
		out.subject = cmp.Or(c.associated(ctx, topic, part), topic+"-"+part)
	default:
		out.subject = topic + "-" + part
	}
	if out.subject == "" {
		out.err = fmt.Errorf("has a subject for each record name (tarn.%s.subject.name.strategy=%s): set tarn.%[1]s.schema.message to the one to write, or send bytes with --raw", part, strategy)
	} else if in != "" && !strings.HasPrefix(out.subject, ":.") {
		out.subject = registry.Qualify(in, out.subject)
	}
	if out.in = cmp.Or(in, registry.DefaultContext); out.subject != "" {
		out.in, _ = registry.Split(out.subject)
	}
	return out
}

// associated is the subject that a topic is associated with, "" if there is none
// or the registry does not say.
func (c *connect) associated(ctx context.Context, topic, part string) string {
	var list []struct {
		Subject string `json:"subject"`
	}
	path := "/associations/resources/-/" + url.PathEscape(topic) + "?resourceType=topic&associationType=" + part
	if err := c.call(ctx, http.MethodGet, path, nil, &list); err != nil || len(list) != 1 {
		return ""
	}
	return list[0].Subject
}

// readAs has ids looked up in the contexts of a topic's schemas.
func (p *payloads) readAs(key, value topicSchema) { p.keysIn, p.valuesIn = key.in, value.in }
