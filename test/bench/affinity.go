package bench

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// binding is the processors that threads may run on.
type binding unix.CPUSet

// allowed are the processors that this process may run on.
func allowed() (cpus []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	for cpu := range 8 * len(set) * 8 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// bindThread binds the calling thread and returns what it was bound to.
func bindThread(cpus []int) (before binding, err error) {
	if err := unix.SchedGetaffinity(0, (*unix.CPUSet)(&before)); err != nil {
		return before, fmt.Errorf("sched_getaffinity: %w", err)
	}
	return before, bind(0, cpus)
}

func (b *binding) restore() error { return unix.SchedSetaffinity(0, (*unix.CPUSet)(b)) }

// bindProcess binds all threads of this process; those still to come inherit it.
func bindProcess(cpus []int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := bind(id, cpus); err != nil {
			return err
		}
	}
	return nil
}

func bind(thread int, cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(thread, &set); err != nil && err != unix.ESRCH {
		return fmt.Errorf("sched_setaffinity: %w", err)
	}
	return nil
}
