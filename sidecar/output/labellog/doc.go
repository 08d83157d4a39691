// Package labellog writes the label log labels.jsonl, one decision a line, and reads
// from it which flows were decided before a restart.
//
//	log, err := labellog.Open("/var/log/serveflow/labels.jsonl", labellog.Options{
//		MaxBytes: 256 << 20, Keep: 4, OnError: report,
//	})
//	…
//	log.Write(records) // by any shard; never waits for the disk
//	…
//	log.Reopen()       // after logrotate has moved the file
//	log.Close()
//
// Package logfile keeps the file: every line is whole, and is written within 100 ms
// if the disk takes it. Write neither waits for the disk nor allocates.
package labellog
