// Package drift measures how far the flows decided now are from those that a
// cascade was calibrated on.
//
// A [Reference] is part of a bundle: it has counts of the calibration flows in bins
// of their score, their label, the stage that decided them and some feature values.
// A [Counter] counts the flows that a goroutine decides in the same bins, a
// [Window] sums the counts of several counters over the most recent flows, and
// [PSI] compares: one number per distribution, 0 for no change.
//
// Counting takes no lock and does not allocate. Only the transfer from a counter to
// its window takes a lock, now and then.
package drift
