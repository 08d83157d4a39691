// Package sdnotify sends systemd the state of the service by the sd_notify
// protocol: datagrams of NAME=VALUE lines to the socket that the environment names.
// Without NOTIFY_SOCKET every call does nothing and succeeds, so callers need not
// know what started them.
package sdnotify

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Ready reports that the start, or a reload, is complete.
func Ready() error { return send("READY=1") }

// Stopping reports that the service is stopping.
func Stopping() error { return send("STOPPING=1") }

// Reloading reports that a reload has begun; Ready ends it.
func Reloading() error {
	// By this clock systemd distinguishes the reload that it requested from an
	// earlier one.
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("reading the monotonic clock: %w", err)
	}
	return send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

// Watchdog reports that the service is alive, as often as systemd expects it and
// while alive returns true, until ctx is done. It returns at once if no watchdog is
// set for this process. When a message cannot be sent, failed is called for the
// first error of a series, and the next message is sent when it is due.
func Watchdog(ctx context.Context, alive func() bool, failed func(error)) {
	every := interval()
	if every == 0 {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := false
	for {
		if alive() {
			err := send("WATCHDOG=1")
			if err != nil && !failing {
				failed(err)
			}
			failing = err != nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// interval is a third of systemd's timeout, so that one message may get lost; 0: no
// watchdog.
func interval() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || usec > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 3
}

// send sends one datagram. An address that begins with @ is in the abstract
// namespace, as in package net.
func send(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	return nil
}
