// Package sdnotify tells systemd how the service is doing: the sd_notify
// protocol, datagrams of NAME=VALUE lines to the socket that the environment
// names. Without NOTIFY_SOCKET every call does nothing and succeeds, so callers
// need not know who started them.
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

// Ready says that the start is over, or a reload.
func Ready() error { return send("READY=1") }

// Stopping says that the service is on its way out.
func Stopping() error { return send("STOPPING=1") }

// Reloading says that a reload has begun; Ready ends it.
func Reloading() error {
	// systemd tells a reload that it asked for from one before by this clock.
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("reading the monotonic clock: %w", err)
	}
	return send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

// Watchdog says that the service is alive as often as systemd wants to hear it
// while alive returns true, until ctx is done. It returns at once where no
// watchdog is set for this process. A message that cannot be sent is no end:
// failed is called with the first error of a row, and the next one is tried
// when it is due.
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

// interval is a third of what systemd waits for, so that one message may get lost;
// 0: no watchdog.
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

// send writes one datagram. An address that begins with @ is in the abstract
// namespace, which package net understands as systemd writes it.
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
