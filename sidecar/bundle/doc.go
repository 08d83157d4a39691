// Package bundle loads what a user deploys: a directory with a manifest,
// models, their golden rows and where it all comes from.
//
// Loading trusts nothing. Every file is checked against the manifest's
// SHA-256, every field of the manifest against what it may be, every model
// against its golden rows; what is wrong is named by field, with the mend, and
// all of it at once.
package bundle
