package memory

import (
	"sync"
	"testing"
	"testing/fstest"
)

func TestMachine(t *testing.T) {
	const gib = 1 << 30
	meminfo := "MemTotal:       16777216 kB\nMemFree:         1000 kB\n" // 16 GiB
	for name, test := range map[string]struct {
		files map[string]string
		want  Limit
	}{
		"nothing is known": {nil, Limit{0, "unknown"}},
		"no control group": {map[string]string{"proc/meminfo": meminfo}, Limit{8 * gib, "half of the machine's memory"}},
		"version 2": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/system.slice/serveflow.service\n",
			"sys/fs/cgroup/system.slice/serveflow.service/memory.max": "1073741824\n",
		}, Limit{gib / 5 * 4, "80 % of the control group's memory"}},
		"version 2, a smaller limit above, and high": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b/c\n",
			"sys/fs/cgroup/a/b/c/memory.max": "4294967296\n",
			"sys/fs/cgroup/a/b/memory.high":  "2147483648\n",
			"sys/fs/cgroup/a/memory.max":     "1073741824\n",
		}, Limit{gib / 5 * 4, "80 % of the control group's memory"}},
		"version 2 without a limit": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n",
		}, Limit{8 * gib, "half of the machine's memory"}},
		"version 2 in a container": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "2147483648\n",
		}, Limit{2 * gib / 5 * 4, "80 % of the control group's memory"}},
		"version 1": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:hugetlb,memory:/docker/1234\n0::/x\n",
			"sys/fs/cgroup/memory/docker/1234/memory.limit_in_bytes": "2147483648\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":             "9223372036854771712\n",
		}, Limit{2 * gib / 5 * 4, "80 % of the control group's memory"}},
		"version 1 in a container": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/docker/1234\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
		}, Limit{gib / 5 * 4, "80 % of the control group's memory"}},
		"a group of more than the machine": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "17179869184\n",
		}, Limit{8 * gib, "half of the machine's memory"}},
		"nonsense": {map[string]string{
			"proc/meminfo": "MemTotal: many kB\n", "proc/self/cgroup": "0\n::\n0::/../../..\n0::a\x00b\n",
			"sys/fs/cgroup/memory.max": "-5\n",
		}, Limit{0, "unknown"}},
		"more than there are numbers for": {map[string]string{"proc/meminfo": "MemTotal: 9223372036854775807 kB\n"}, Limit{0, "unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range test.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := machine(root); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
	if got := Machine(); got.Bytes < 1<<20 {
		t.Errorf("this machine has %+v", got)
	}
}

func TestBudget(t *testing.T) {
	b := NewBudget(100)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 1000 {
				if b.Take(30) {
					if left := b.left.Load(); left > 70 {
						t.Errorf("%d are left", left)
					}
					b.Give(30)
				}
			}
		})
	}
	all.Wait()
	if !b.Take(100) || b.Take(1) {
		t.Errorf("%d are left", b.left.Load())
	}
	var none *Budget
	if !none.Take(1 << 60) {
		t.Error("a nil budget has an end")
	}
	none.Give(1)
}
