// Package tune chooses a cascade from candidates that are trained, and writes
// its bundle: the work of "serveflow tune". It trains nothing.
//
// models/train writes a directory of candidates: models on 1, 2, 3 … packets,
// each trained on all training sessions, and again without one fold of them, for
// every fold. From labelled captures this package
//
//   - asks every candidate about every flow: of a training session the model that
//     has not seen its fold, of other sessions the one that is served;
//   - measures what asking costs on this machine, and how long packets take;
//   - searches cascades on the training sessions (package search);
//   - shows on the calibration sessions, which nothing was chosen by, that the
//     promise holds (package bound), and chooses among what holds;
//   - measures the choice on the test sessions, if there are any.
//
// The same captures, candidates and costs give the same bundle, byte for byte.
package tune
