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
// What a LabelLog promises:
//   - Every line in the file is a whole JSON object. A line cut short by a
//     crash is removed when the file is opened next; one cut short by a full
//     disk is completed when there is room again.
//   - A record is in the file at most 100 ms after Write, if the disk takes it.
//   - Write does not block on the disk and does not allocate. What a disk that
//     is slow or full leaves behind is held in memory up to a fixed bound and
//     dropped beyond it, and counted.
//   - After an error it goes on trying and recovers by itself.
package sink
