// Package flows compares the flows that package replay builds with those of the
// engines whose rules it follows: Suricata 7 and Zeek 8, as installed, with the
// settings that they come with. "make flows" runs it over all captures in the data
// folder and prints where they differ; SERVEFLOW_FLOWS=40 takes every 40th.
package flows
