package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// explain says what a person can do about an error of a broker.
func explain(err error) error {
	for _, known := range []struct {
		err  error
		hint string
	}{
		{kerr.SaslAuthenticationFailed, "kafka.user or what kafka.password_file holds is wrong, or the broker does not know them"},
		{kerr.UnsupportedSaslMechanism, "the broker does not take kafka.sasl: choose another of its mechanisms"},
		{kerr.UnknownTopicOrPartition, "make the topic, for the broker does not make it on its own; records wait for it"},
		{kerr.TopicAuthorizationFailed, "allow kafka.user to write to the topic and to describe it"},
		{kerr.ClusterAuthorizationFailed, "allow kafka.user to write idempotently"},
		{kerr.InvalidTimestamp, "the topic takes no records of this age: they get the time of their sending; if that is refused too, the clocks differ"},
	} {
		if errors.Is(err, known.err) {
			return fmt.Errorf("%w: %s", err, known.hint)
		}
	}
	return err
}
