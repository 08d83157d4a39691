// Package zeek tests the Zeek package: the parts of the plugin that know nothing of
// Zeek, and captures through a real Zeek with a sidecar beside it, compared with
// what "serveflow replay" says of the same captures.
//
// The first need a C++20 compiler alone and run with all other tests. The second
// need bin/serveflow ("make build"), Zeek 8, cmake and btest on PATH, and run when
// SERVEFLOW_E2E is set, as "make e2e-zeek" does. With the folder of labelled
// captures (SERVEFLOW_DATA) they run some of those as well.
//
// The live tests (SERVEFLOW_LIVE) play traffic to Zeek over a link in a network
// namespace of their own and do harm to the sidecar meanwhile. They need root.
package zeek
