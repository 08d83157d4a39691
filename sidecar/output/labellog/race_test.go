//go:build race

package labellog

const raceEnabled = true
