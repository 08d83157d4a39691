// Package cascade decides flows: cheap models first, and a dearer one only
// where the one before is not sure enough.
//
// A cascade is a row of stages. Each needs a number of packets, has a model,
// and accepts the model's word for a class if its confidence reaches that
// class's threshold. What a stage does not accept goes to the next one; what
// the last does not accept is unknown. See arXiv 2402.03694 for the idea.
//
// A Cascade is immutable and shared. Each goroutine that asks it has a Runner
// with scratch memory of its own. Stages whose model answers in batches are
// asked through a Batcher instead.
package cascade
