// Package sink writes decisions down: the label log labels.jsonl, one decision
// a line, and the Community ID that joins it with other tools' logs.
//
//	log, err := sink.OpenLabelLog("/var/log/serveflow/labels.jsonl", sink.Options{
//		MaxBytes: 256 << 20, Keep: 4, OnError: report,
//	})
//	…
//	log.Write(records) // by any shard; never waits for the disk
//	…
//	log.Reopen()       // after logrotate moved the file
//	log.Close()
//
// How the file is kept, and what is promised of it, is what package logfile
// says: every line is whole, none waits longer than 100 ms for a disk that takes
// it, and Write does not wait, whatever the disk does. Write does not allocate.
package sink
