package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// explain says what a person can do about an error of a broker.
func explain(err error) error {
	for _, known := range []struct {
		is   bool
		hint string
	}{
		{errors.Is(err, kerr.SaslAuthenticationFailed), "kafka.user or what kafka.password_file holds is wrong, or the broker does not know them"},
		{errors.Is(err, kerr.UnsupportedSaslMechanism), "the broker does not take kafka.sasl: choose another of its mechanisms"},
		{errors.Is(err, kerr.UnknownTopicOrPartition), "make the topic, for the broker does not make it on its own; records wait for it"},
		{errors.Is(err, kerr.TopicAuthorizationFailed), "allow kafka.user to write to the topic and to describe it"},
		{errors.Is(err, kerr.ClusterAuthorizationFailed), "allow kafka.user to write idempotently"},
		{errors.Is(err, kerr.InvalidTimestamp), "the topic takes no records of this age: they get the time of their sending; if that is refused too, the clocks differ"},
		{is[x509.UnknownAuthorityError](err), "kafka.ca has to hold the authority that signed the broker's certificate"},
		{is[x509.HostnameError](err), "name the broker in kafka.brokers as its certificate does"},
		{is[x509.CertificateInvalidError](err), "the broker has to have a certificate that is valid today and for a server"},
		{is[tls.RecordHeaderError](err) || is[*kgo.ErrFirstReadEOF](err), "this may be a port without TLS: then kafka.tls is false, or the port another"},
		{says(err, "speaking to a tls endpoint"), "this may be a port with TLS: then kafka.tls is true"},
		{says(err, "remote error: tls: "), "the broker does not take the certificate in kafka.cert, or wants one"},
	} {
		if known.is {
			return fmt.Errorf("%w: %s", err, known.hint)
		}
	}
	return err
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// says is for errors that have no type of their own.
func says(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
