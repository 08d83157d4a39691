package jsonl

import (
	"bytes"
	"strconv"
	"time"
)

// Micros reads a time as Zeek or Suricata writes it, a number or a text, and
// returns it in microseconds since the epoch.
func Micros(value []byte) (int64, bool) {
	if text := Unquote(value); text != nil {
		return isoMicros(text)
	}
	return epochMicros(value)
}

// epochMicros reads seconds since the epoch with any number of decimals, and
// Zeek's JSON::TS_MILLIS, which is seconds of the year 5000 otherwise.
func epochMicros(b []byte) (int64, bool) {
	whole, frac, _ := bytes.Cut(b, []byte("."))
	s, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil || s > 1e15 || s < -1e15 {
		return 0, false
	}
	us, unit := int64(0), int64(100_000)
	for _, c := range frac {
		if c < '0' || c > '9' {
			return 0, false
		}
		us += int64(c-'0') * unit
		unit /= 10
	}
	if len(whole) > 0 && whole[0] == '-' {
		us = -us
	}
	if s > 1e11 || s < -1e11 {
		return s*1e3 + us/1e3, true
	}
	return s*1e6 + us, true
}

// isoMicros reads Suricata's time, and Zeek's JSON::TS_ISO8601.
func isoMicros(b []byte) (int64, bool) {
	for _, layout := range [...]string{"2006-01-02T15:04:05.999999-0700", time.RFC3339Nano} {
		if t, err := time.Parse(layout, string(b)); err == nil {
			return t.UnixMicro(), true
		}
	}
	return 0, false
}
