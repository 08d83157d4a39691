// Package suricata runs captures through Suricata 7 and 8 with a sidecar beside
// them, and compares what comes out with what "serveflow replay" says of the
// same captures.
//
// The tests need bin/serveflow ("make build") and the engines ("make engines").
// They run when SERVEFLOW_E2E is set, as "make e2e-suricata7" and the like do.
// With the folder of labelled captures (SERVEFLOW_DATA) they run some of those
// as well. Where SERVEFLOW_EVE_SCHEMA names the file etc/schema.json of the
// Suricata that is tested, all records with labels are held against it and our
// patch of it, else against the patch alone.
//
// The live tests (SERVEFLOW_LIVE) play traffic to Suricata over a link in a
// network namespace of their own and do harm to the sidecar meanwhile. They need
// root.
package suricata
