// Package kafka tests the stream of labels with a real broker, and does harm to both of
// them: make kafka-e2e.
package kafka
