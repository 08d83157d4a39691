// Package bundle loads what a user deploys: a directory with a manifest, models,
// their golden rows and their provenance.
//
// Loading trusts nothing. Every file is checked against the manifest's SHA-256,
// every field of the manifest against its allowed values, every model against its
// golden rows. All mistakes are reported at once, each with its field and a hint.
package bundle
