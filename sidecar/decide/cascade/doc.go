// Package cascade classifies flows: it asks cheap models first, and an expensive one
// only for flows that the previous stage is not confident about.
//
// A cascade is a sequence of stages. A stage has a model and needs a number of
// packets. It accepts the class that its model gives if the confidence reaches the
// threshold of that class. A flow that a stage does not accept goes to the next stage;
// one that the last stage does not accept is unknown. arXiv 2402.03694 describes the
// method.
//
// A Cascade is immutable and shared. Each goroutine that uses it has a Runner with
// scratch memory of its own. A stage whose model scores many flows in one call is
// asked through a Batcher instead.
package cascade
