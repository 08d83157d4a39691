// Package zeeklog reads the logs of Zeek: TSV with its header lines, or one JSON
// object per line, optionally compressed with gzip or zstd.
//
//	log, err := zeeklog.NewReader(file, "ts", "uid", "answers")
//	defer log.Close()
//	for {
//		if err := log.Next(); err != nil {
//			break // io.EOF: end of the log
//		}
//		ts, uid, answers := log.Text(0), log.Text(1), log.List(2)
//	}
//
// Header is for code that reads and copies lines itself.
package zeeklog
