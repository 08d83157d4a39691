// Package zeeklog reads the logs of Zeek: TSV with its header lines, or one JSON
// object a line, as it is or packed with gzip or zstd.
//
//	log, err := zeeklog.NewReader(file, "ts", "uid", "answers")
//	defer log.Close()
//	for {
//		if err := log.Next(); err != nil {
//			break // io.EOF: the log is over
//		}
//		ts, uid, answers := log.Text(0), log.Text(1), log.List(2)
//	}
//
// Header is for who reads lines on his own, to pass them on.
package zeeklog
