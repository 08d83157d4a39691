package packages

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const trialUnit = `[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/trial/trial.sh
StandardOutput=append:/trial/transcript
StandardError=inherit
`

// bare makes a root of Debian 12 with systemd and nothing of ours.
func bare(t *testing.T) string {
	t.Helper()
	mirror := strings.TrimSpace(output(t, "bash", "-c",
		`apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }'`))
	if mirror == "" {
		t.Skip("apt's sources name no mirror of Debian 12")
	}
	dir := filepath.Join(t.TempDir(), "root")
	output(t, "mmdebstrap", "--quiet", "--variant=minbase", "--include=systemd,init-system-helpers",
		`--aptopt=Acquire::Languages "none"`, "bookworm", dir, mirror)
	return dir
}

// TestInstall installs the package on a bare root under systemd, labels a capture,
// upgrades, and removes it: trial.sh says what is done, and this what must come of it.
func TestInstall(t *testing.T) {
	need(t, "mmdebstrap", "systemd-nspawn", "dpkg-deb")
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	deb := packages(t, "*_"+strings.TrimSpace(output(t, "dpkg", "--print-architecture"))+".deb")[0]
	dir := bare(t)
	trial := filepath.Join(dir, "trial")
	if err := os.Mkdir(trial, 0o755); err != nil {
		t.Fatal(err)
	}
	copyFile(t, "trial.sh", trial)
	copyFile(t, deb, filepath.Join(trial, "new.deb"))
	copyFile(t, older(t, deb), filepath.Join(trial, "old.deb"))
	copyFile(t, root+"/test/captures/dns.pcap", trial)
	units := filepath.Join(dir, "etc/systemd/system")
	if err := os.WriteFile(filepath.Join(units, "trial.service"), []byte(trialUnit), 0o644); err != nil {
		t.Fatal(err)
	}
	wants := filepath.Join(units, "default.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/systemd/system/trial.service", filepath.Join(wants, "trial.service")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	boot := exec.CommandContext(ctx, "systemd-nspawn", "--directory", dir, "--boot", "--register=no", "--keep-unit", "--private-network")
	console, err := boot.CombinedOutput()
	text, readErr := os.ReadFile(filepath.Join(trial, "transcript"))
	if readErr != nil || !strings.HasSuffix(string(text), "# end\n") {
		t.Fatalf("the trial did not come to its end: %v, %v\n%s\n%s", err, readErr, console, text)
	}
	t.Logf("transcript:\n%s", text)
	if file := os.Getenv("SERVEFLOW_TRANSCRIPT"); file != "" {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Error(err)
		}
	}
	check(t, string(text))
}

// check reads the transcript.
func check(t *testing.T, text string) {
	for section, wants := range map[string][]string{
		"install": {
			`\$ systemctl is-enabled serveflow\nenabled\n`, `\$ systemctl is-active serveflow\nactive\n`, `HTTP/1.0 200 OK\n(.*\n)*ok\n`,
			`\nserveflow .* \(protocol 1, `, `\nbundle +channel@`,
			`drwxr-x--- .* serveflow serveflow .* /run/serveflow\n`, `srw-rw---- .* serveflow serveflow .* /run/serveflow/serveflow.sock\n`,
			`drwxr-x--- .* serveflow serveflow .* /var/log/serveflow\n`,
		},
		"label":   {`\ndns.pcap +1 +udp .* dns `, `"label":"dns"`},
		"reload":  {`^\n\$ systemctl reload serveflow\n\$ systemctl is-active serveflow\nactive\n`},
		"sandbox": {`\nUid:\t([1-9][0-9]*)\t`, `NoNewPrivs:\t1\n`, `Seccomp:\t2\n`, `CapBnd:\t0000000000000000\n`, `Read-only file system`, `Overall exposure level for serveflow.service: [0-2]\.[0-9] OK`},
		"upgrade": {
			`\n/etc/serveflow/serveflow.toml:level = "debug"\n`, `\n/etc/serveflow/serveflow.toml.dpkg-dist:level = "info"\n`,
			`\$ systemctl is-active serveflow\nactive\n`, `HTTP/1.0 200 OK\n`, `\n([2-9]|[1-9][0-9]+) /var/log/serveflow/labels.jsonl\n`, `the sidecar is another one`,
		},
		"disabled stays disabled": {`\$ systemctl is-enabled serveflow\ndisabled\n`},
		"remove":                  {`\$ systemctl is-active serveflow\ninactive\n`, `\nserveflow.toml\n`, `cannot access '/usr/bin/serveflow'`, `cannot access '/etc/serveflow'`, `cannot access '/var/log/serveflow'`, `SIGHUP: bundle unchanged`},
	} {
		_, body, ok := strings.Cut("\n"+text, "\n# "+section+"\n")
		if !ok {
			t.Errorf("the transcript has no %q", section)
			continue
		}
		body, _, _ = strings.Cut(body, "\n# ")
		for _, want := range wants {
			if !regexp.MustCompile(want).MatchString("\n" + body + "\n") {
				t.Errorf("%s: nothing like %q", section, want)
			}
		}
	}
}
