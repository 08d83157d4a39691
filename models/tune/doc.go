// Package tune chooses a cascade from trained models and writes its bundle. It does the
// work of "serveflow tune" and trains no models.
//
// models/train writes a directory of candidates: models that use the first 1, 2, 3 …
// packets of a flow. The training captures are divided into folds. Each candidate is
// trained on all of them, and, for every fold, once more without that fold. From labelled
// captures this package
//
//   - evaluates every candidate on every flow: flows of a training capture with the
//     model trained without its fold, all others with the model that is served;
//   - measures the cost of each candidate on this machine, and the times at which
//     packets arrive;
//   - searches cascades on the training captures (package search);
//   - tests the error bound on the calibration captures, which took no part in any
//     choice before (package bound), and chooses among the cascades that pass;
//   - evaluates the chosen cascade on the test captures, if there are any.
//
// The same captures, candidates and costs give the same bundle, byte for byte.
package tune
