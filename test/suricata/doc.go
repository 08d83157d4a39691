// Package suricata runs captures through Suricata 7 and 8 with a sidecar, and compares
// the labels with those of "serveflow replay" for the same captures.
//
// The tests need bin/serveflow ("make build") and the engines ("make engines").
// They run when SERVEFLOW_E2E is set, as "make e2e-suricata7" and the like do.
// With the folder of labelled captures (SERVEFLOW_DATA) they include some of those.
// Labelled records are validated against our patch of EVE's schema, and against the
// schema itself if SERVEFLOW_EVE_SCHEMA names etc/schema.json of the tested Suricata.
//
// The live tests (SERVEFLOW_LIVE) play traffic to Suricata over a link in a
// network namespace of their own and inject faults into the sidecar. They need
// root.
package suricata
