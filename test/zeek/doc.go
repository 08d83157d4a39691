// Package zeek tests the Zeek package: the parts of the plugin that do not depend on
// Zeek, and captures through a real Zeek with a sidecar, whose labels are compared with
// those of "serveflow replay" for the same captures.
//
// The former need a C++20 compiler and run with all other tests. The latter need bin/serveflow ("make build"), Zeek 8, cmake and btest on PATH, and run when
// SERVEFLOW_E2E is set, as "make e2e-zeek" does. With the folder of labelled
// captures (SERVEFLOW_DATA) they include some of those.
//
// The live tests (SERVEFLOW_LIVE) play traffic to Zeek over a link in a network
// namespace of their own and inject faults into the sidecar. They need root.
package zeek
