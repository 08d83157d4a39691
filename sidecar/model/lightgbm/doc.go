// Package lightgbm reads LightGBM classifiers from their text form.
//
// Parse promises that what it returns can be evaluated without a further look:
// lengths fit each other, indexes are in range, every tree is a tree. A forged
// or damaged file makes other readers panic, loop for ever or exhaust memory,
// and linear trees and some objectives they misread without a word; here it is
// an error that names the tree and the field.
//
// What is read: objective multiclass (softmax) or binary (logistic, sigmoid
// 1), boosting by gradient (gbdt, dart, goss), numerical splits, versions v3
// and v4 of the text. Models are to be evaluated in float64, as LightGBM does.
package lightgbm
