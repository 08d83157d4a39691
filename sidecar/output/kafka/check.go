package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Topic is what Check found out of a topic.
type Topic struct {
	Name       string
	Partitions int
}

// write is the bit of the operation Write among those that a user is allowed.
const write = 1 << 4

// Check connects to a broker, signs in, and asks it for the topics: whether they are
// there, have leaders, and may be written to. It sends no record.
func Check(ctx context.Context, o Options) ([]Topic, error) {
	opts, err := o.options()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(opts, kgo.RequestRetries(1))...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return nil, fmt.Errorf("kafka.brokers: none can be used: %w", explain(err))
	}
	names := []string{o.Topic}
	if o.EVETopic != "" {
		names = append(names, o.EVETopic)
	}
	request := kmsg.NewPtrMetadataRequest()
	request.IncludeTopicAuthorizedOperations = true
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		request.Topics = append(request.Topics, topic)
	}
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("kafka: asking for the topics: %w", explain(err))
	}
	found := map[string]kmsg.MetadataResponseTopic{}
	for _, t := range response.Topics {
		if t.Topic != nil {
			found[*t.Topic] = t
		}
	}
	var topics []Topic
	for _, name := range names {
		t, ok := found[name]
		err := kerr.ErrorForCode(t.ErrorCode)
		if !ok {
			err = kerr.UnknownTopicOrPartition
		}
		if err == nil && t.AuthorizedOperations != -1<<31 && t.AuthorizedOperations&write == 0 {
			err = kerr.TopicAuthorizationFailed
		}
		for _, p := range t.Partitions {
			if err == nil {
				err = kerr.ErrorForCode(p.ErrorCode)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("kafka: topic %s: %w", name, explain(err))
		}
		topics = append(topics, Topic{name, len(t.Partitions)})
	}
	return topics, nil
}
