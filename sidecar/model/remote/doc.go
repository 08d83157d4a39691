// Package remote serves models that run on inference servers, by the Open Inference
// Protocol, version 2, over gRPC, as KServe, Triton, MLServer and OpenVINO speak it.
//
// The model's file in a bundle says what is asked for, and no more:
//
//	{"model": "slow", "version": "1", "input": "input", "output": "predict",
//	 "columns": ["…", …], "classes": 3}
//
// input and output are float32[rows, columns] and float32 or float64[rows, classes], the
// latter probabilities. Where the servers are, the configuration says.
//
// A server is asked only after it has given the model's golden rows back as they are
// recorded. It is out of use from its first answer that is wrong (another model or
// version, another shape, no probabilities), from its first that fails, and from the
// third in a row that is late; then it is probed, each Probe, with the golden rows,
// until it is right again. Of the servers in use, the one with the fewest requests
// under way is asked.
//
// A request has the time that its flows have left (Scorer.SetDeadline), and is never
// made twice: a flow that gets no answer keeps its best label.
package remote
