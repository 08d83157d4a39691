// Package cascade decides flows: cheap models first, and an expensive one only
// where the previous stage is not confident enough.
//
// A cascade is a sequence of stages. Each needs a number of packets, has a model,
// and accepts the model's class if its confidence reaches that class's threshold.
// What a stage does not accept goes to the next one; what the last does not accept
// is unknown. See arXiv 2402.03694 for the idea.
//
// A Cascade is immutable and shared. Each goroutine that uses it has a Runner with
// its own scratch memory. Stages whose model scores in batches are used through a
// Batcher instead.
package cascade
