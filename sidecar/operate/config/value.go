package config

import (
	"errors"
	"io/fs"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// The errors of values. Each says what is expected.
var (
	errText     = errors.New(`want a string in quotes`)
	errTruth    = errors.New(`want true or false`)
	errNumber   = errors.New(`want a whole number`)
	errDuration = errors.New(`want a duration with its unit, in quotes, such as "500ms", "10s" or "5m"`)
	errMode     = errors.New(`want the permissions as three or four octal digits in quotes, such as "0660"`)
	errSize     = errors.New(`want bytes as a whole number, or with a unit and in quotes, such as "256MiB" or "1GB"`)
	errUIDs     = errors.New(`want a list of user ids from 0 to 4294967294, such as [0, 104]`)
)

func text(to *string) setter {
	return func(v any) error {
		s, ok := v.(string)
		if !ok {
			return errText
		}
		*to = s
		return nil
	}
}

func truth(to *bool) setter {
	return func(v any) error {
		b, ok := v.(bool)
		if !ok {
			return errTruth
		}
		*to = b
		return nil
	}
}

func number(to *int) setter {
	return func(v any) error {
		n, ok := v.(int64)
		if !ok || n != int64(int(n)) {
			return errNumber
		}
		*to = int(n)
		return nil
	}
}

func duration(to *time.Duration) setter {
	return func(v any) error {
		s, ok := v.(string)
		if !ok {
			return errDuration
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			return errDuration
		}
		*to = d
		return nil
	}
}

func mode(to *fs.FileMode) setter {
	return func(v any) error {
		s, ok := v.(string)
		if !ok || len(s) < 3 || len(s) > 4 {
			return errMode
		}
		m, err := strconv.ParseUint(s, 8, 32)
		if err != nil || m > 0o777 {
			return errMode
		}
		*to = fs.FileMode(m)
		return nil
	}
}

func uids(to *[]uint32) setter {
	return func(v any) error {
		list, ok := v.([]any)
		if !ok {
			return errUIDs
		}
		var ids []uint32
		for _, e := range list {
			// The highest id means "no change" to chown and is no user.
			n, ok := e.(int64)
			if !ok || n < 0 || n >= math.MaxUint32 {
				return errUIDs
			}
			ids = append(ids, uint32(n))
		}
		*to = ids
		return nil
	}
}

var errTexts = errors.New(`want a list of texts, such as ["a", "b"]`)

func texts(to *[]string) setter {
	return func(v any) error {
		list, ok := v.([]any)
		if !ok {
			return errTexts
		}
		var all []string
		for _, e := range list {
			s, ok := e.(string)
			if !ok {
				return errTexts
			}
			all = append(all, s)
		}
		*to = all
		return nil
	}
}

func size(to *int64) setter {
	return func(v any) error {
		n, ok := v.(int64)
		if s, isText := v.(string); isText {
			n, ok = parseSize(s)
		}
		if !ok || n < 0 {
			return errSize
		}
		*to = n
		return nil
	}
}

// units are the units of a size, in lower case.
var units = map[string]uint64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// parseSize reads a whole number and a unit, in letters of either case, with
// or without a space between them.
func parseSize(s string) (int64, bool) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	n, err := strconv.ParseUint(s[:digits], 10, 63)
	unit, known := units[strings.ToLower(strings.TrimPrefix(s[digits:], " "))]
	if err != nil || !known {
		return 0, false
	}
	over, bytes := bits.Mul64(n, unit)
	if over != 0 || bytes > math.MaxInt64 {
		return 0, false
	}
	return int64(bytes), true
}
