// Package decision is a decision as the sidecar's outputs write it: a line of the
// label log, or the object serveflow of Suricata's EVE records.
package decision
