package main

import (
	"fmt"
	"strings"
)

// redisCommands are lines for redis-cli.
func (l *lab) redisCommands() string {
	var lines strings.Builder
	for range l.between(2, 25) {
		key := fmt.Sprintf("key:%d", l.rng.IntN(20))
		switch l.rng.IntN(4) {
		case 0:
			fmt.Fprintf(&lines, "SET %s %s\n", key, strings.Repeat("v", l.size(3, 2000)))
		case 1:
			fmt.Fprintf(&lines, "INCR count:%d\n", l.rng.IntN(3))
		case 2:
			fmt.Fprintf(&lines, "LPUSH list %s\nLRANGE list 0 5\n", key)
		default:
			fmt.Fprintf(&lines, "GET %s\n", key)
		}
	}
	return lines.String()
}
