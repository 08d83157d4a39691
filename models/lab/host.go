package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// host is one end of the wire: a network namespace and the programs in it.
type host struct {
	endpoint
	namespace *os.File
	wire      int // descriptor: frames that leave the host are read here, others written
	log       io.Writer
	ctx       context.Context
}

const device = "wire" // the name of the wire's end in a host

// newHost makes a host in a new network namespace.
func newHost(ctx context.Context, e endpoint, mtu int, log io.Writer) (*host, error) {
	h := &host{endpoint: e, log: log, ctx: ctx}
	if err := h.unshare(func() (err error) {
		h.wire, err = openTap(device)
		return err
	}); err != nil {
		return nil, err
	}
	return h, h.configure(mtu)
}

// unshare makes the host's network namespace and calls f in it.
func (h *host) unshare(f func() error) error {
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			h.namespace, err = os.Open("/proc/thread-self/ns/net")
		}
		if err == nil {
			err = f()
		}
		made <- err
	}()
	if err := <-made; err != nil {
		return fmt.Errorf("making a network namespace: %w", err)
	}
	return nil
}

// namespacePath names the namespace to other programs.
func (h *host) namespacePath() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.namespace.Fd())
}

// openTap makes an Ethernet device whose frames come to and from a descriptor.
func openTap(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("/dev/net/tun: %w", err)
	}
	return fd, nil
}

// inside calls f in the host's network namespace.
func (h *host) inside(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Setns(int(h.namespace.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func (h *host) configure(mtu int) error {
	onOff := map[bool]string{true: "1", false: "0"}
	return errors.Join(
		h.inside(func() error {
			var errs []error
			for key, value := range map[string]string{
				"ipv6/conf/wire/disable_ipv6":     "1", // no neighbour discovery
				"ipv6/conf/default/disable_ipv6":  "1",
				"ipv4/ip_default_ttl":             fmt.Sprint(h.Settings.TTL),
				"ipv4/tcp_timestamps":             onOff[h.Settings.Timestamps],
				"ipv4/tcp_sack":                   onOff[h.Settings.SACK],
				"ipv4/tcp_rmem":                   fmt.Sprintf("4096 %d 6291456", h.Settings.Receive),
				"ipv4/ip_local_port_range":        fmt.Sprintf("%d 60999", h.Settings.PortsFrom),
				"ipv4/ip_unprivileged_port_start": "0",
				"ipv4/ping_group_range":           "0 2147483647",
			} {
				errs = append(errs, os.WriteFile("/proc/sys/net/"+key, []byte(value), 0))
			}
			return errors.Join(errs...)
		}),
		h.run("ip", "link", "set", "lo", "up"),
		h.run("ip", "link", "set", device, "mtu", fmt.Sprint(mtu), "up"),
		h.run("ip", "address", "add", h.Address+"/32", "dev", device),
		h.run("ip", "route", "add", "default", "dev", device, "congctl", h.Settings.Control),
	)
}

// process is a program that runs on a host.
type process struct {
	*exec.Cmd
	done chan struct{} // closed once it has ended
	err  error
}

func (h *host) command(name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(h.ctx, name, args...)
	c.Stdout, c.Stderr = h.log, h.log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 2 * time.Second
	return c
}

// begin starts a command on the host.
func (h *host) begin(c *exec.Cmd) (*process, error) {
	fmt.Fprintf(h.log, "+ %s\n", strings.Join(c.Args, " "))
	p := &process{Cmd: c, done: make(chan struct{})}
	if err := h.inside(c.Start); err != nil {
		return nil, err
	}
	go func() {
		p.err = c.Wait()
		close(p.done)
	}()
	return p, nil
}

func (h *host) start(name string, args ...string) (*process, error) {
	return h.begin(h.command(name, args...))
}

// finish waits for a command; its failing is an error.
func (h *host) finish(c *exec.Cmd) error {
	p, err := h.begin(c)
	if err != nil {
		return err
	}
	<-p.done
	if p.err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(c.Path), p.err)
	}
	return nil
}

// run runs a program to its end.
func (h *host) run(name string, args ...string) error {
	return h.finish(h.command(name, args...))
}

// stop ends a program and what it started, as a user would.
func (p *process) stop(signal syscall.Signal) {
	syscall.Kill(-p.Process.Pid, signal)
	select {
	case <-p.done:
	case <-time.After(2 * time.Second):
		syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// listens waits until something on the host listens on a port: "tcp" or "udp".
func (h *host) listens(protocol string, port int) error {
	local := fmt.Sprintf(":%04X ", port)
	for range 400 {
		found := false
		err := h.inside(func() error {
			for _, table := range []string{protocol, protocol + "6"} {
				text, err := os.ReadFile("/proc/thread-self/net/" + table)
				if err != nil && !os.IsNotExist(err) {
					return err
				}
				for line := range strings.Lines(string(text)) {
					fields := strings.Fields(line)
					if len(fields) > 3 && strings.HasSuffix(fields[1]+" ", local) && (fields[3] == "0A" || fields[3] == "07") {
						found = true
					}
				}
			}
			return nil
		})
		if err != nil || found {
			return err
		}
		if err := h.ctx.Err(); err != nil {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	return fmt.Errorf("nothing listens on %s port %d", protocol, port)
}
