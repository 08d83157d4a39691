// Package lightgbm reads LightGBM classifiers from their text form.
//
// What Parse returns can be evaluated without further checks: lengths match,
// indexes are in range, every tree is a tree. A forged or damaged file makes other
// readers panic, loop forever or exhaust memory, and they misread linear trees and
// some objectives silently; here it is an error that names the tree and the field.
//
// Supported are: objective multiclass (softmax) or binary (logistic, sigmoid 1),
// boosting by gradient (gbdt, dart, goss), numerical splits, versions v3 and v4 of
// the text. Models must be evaluated in float64, as LightGBM does.
package lightgbm
