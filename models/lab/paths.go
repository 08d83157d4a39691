package main

import (
	"math/rand/v2"
	"time"
)

// path says what a wire does to frames, in either direction. Only wires of
// other sessions than those of its split's know it.
type path struct {
	name   string
	only   string        // the split it is kept for, "" for training and calibration
	delay  time.Duration // one way, the middle of what sessions get: half of it to twice
	jitter float64       // standard deviation of delay, as a share of it
	loss   float64       // share of frames
	rate   int           // Mbit/s
	mtu    int
	hops   int // routers that count down the time to live, at most
}

var paths = []path{
	{name: "lan", delay: 200 * time.Microsecond, jitter: 0.3, rate: 1000, mtu: 1500, hops: 1},
	{name: "wifi", delay: 3 * time.Millisecond, jitter: 0.6, loss: 0.002, rate: 80, mtu: 1500, hops: 2},
	{name: "fibre", delay: 4 * time.Millisecond, jitter: 0.05, rate: 300, mtu: 1500, hops: 10},
	{name: "cable", delay: 12 * time.Millisecond, jitter: 0.2, loss: 0.001, rate: 60, mtu: 1500, hops: 14},
	{name: "dsl", delay: 20 * time.Millisecond, jitter: 0.1, loss: 0.002, rate: 12, mtu: 1492, hops: 12},
	{name: "ocean", delay: 50 * time.Millisecond, jitter: 0.03, loss: 0.001, rate: 100, mtu: 1500, hops: 20},
	{name: "metro", only: "calibration", delay: 8 * time.Millisecond, jitter: 0.15, loss: 0.001, rate: 150, mtu: 1460, hops: 8},
	{name: "mobile", only: "test", delay: 25 * time.Millisecond, jitter: 0.4, loss: 0.003, rate: 25, mtu: 1420, hops: 15},
	{name: "campus", only: "test", delay: 2 * time.Millisecond, jitter: 0.2, rate: 500, mtu: 1500, hops: 5},
	{name: "far", only: "test", delay: 80 * time.Millisecond, jitter: 0.05, loss: 0.005, rate: 40, mtu: 1500, hops: 24},
}

// drawnPath is a path as one session has it.
type drawnPath struct {
	Name       string
	Delay      time.Duration
	Jitter     time.Duration
	Loss       float64
	Rate       int // bytes/s
	MTU        int
	Hops       int
	BleachDSCP bool // as many networks do at their edge
}

func (p *path) draw(rng *rand.Rand) drawnPath {
	delay := time.Duration(float64(p.delay) * (0.5 + 1.5*rng.Float64()))
	return drawnPath{
		Name:       p.name,
		Delay:      delay,
		Jitter:     time.Duration(float64(delay) * p.jitter),
		Loss:       p.loss * 2 * rng.Float64(),
		Rate:       int(float64(p.rate) * (0.5 + rng.Float64()) * 1e6 / 8),
		MTU:        p.mtu,
		Hops:       rng.IntN(p.hops + 1),
		BleachDSCP: rng.IntN(2) == 0,
	}
}

// settings are a host's network settings, as operating systems differ in them.
type settings struct {
	TTL        int
	Timestamps bool
	SACK       bool
	Receive    int // bytes of receive buffer, which makes the window's scale
	Control    string
	PortsFrom  int
}

func drawSettings(rng *rand.Rand) settings {
	one := func(n ...int) int { return n[rng.IntN(len(n))] }
	return settings{
		TTL:        one(64, 64, 64, 128, 128, 255),
		Timestamps: rng.IntN(3) > 0,
		SACK:       rng.IntN(12) > 0,
		Receive:    one(65536, 131072, 131072, 262144),
		Control:    []string{"cubic", "reno", "bbr"}[rng.IntN(3)],
		PortsFrom:  one(32768, 32768, 49152),
	}
}
