// Package tune chooses a cascade among trained candidates and writes its bundle: the
// work of "serveflow tune". It trains no models.
//
// models/train writes a directory of candidates: models on 1, 2, 3 … packets,
// each trained on all training sessions, and again without one fold of them, for
// every fold. From labelled captures this package
//
//   - evaluates every candidate on every flow: on a training session by the model
//     trained without its fold, on other sessions by the model that is served;
//   - measures the cost of each candidate on this machine, and packet times;
//   - searches cascades on the training sessions (package search);
//   - tests the error bound on the calibration sessions, which no choice has used
//     (package bound), and chooses among the cascades that pass;
//   - measures the choice on the test sessions, if there are any.
//
// The same captures, candidates and costs give the same bundle, byte for byte.
package tune
