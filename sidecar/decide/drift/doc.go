// Package drift measures how far the flows that are decided now are from those
// that a cascade was calibrated on.
//
// A [Reference] is part of a bundle: it counts the calibration flows by their
// score, their label, the stage that decided them and some of their values, in
// bins. A [Counter] counts the flows that a goroutine decides in the same bins, a
// [Window] gathers the counts of several and keeps those of the last flows, and
// [PSI] compares: one number for each, 0 where nothing has changed.
//
// Counting takes no lock and does not allocate. Only what a counter has gathered
// is handed over under a lock, now and then.
package drift
