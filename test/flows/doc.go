// Package flows compares the flows that package replay builds with those of the
// engines whose rules it follows: Suricata 7 and 8 and Zeek 8, with their default
// settings. "make flows" compares all captures in the data folder (SERVEFLOW_DATA) and
// prints the differences; SERVEFLOW_FLOWS=40 compares every 40th capture.
package flows
