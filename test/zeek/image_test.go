package zeek

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"serveflow/test/engine"
)

// TestZeekImage makes the image of packaging/zeek.Containerfile as the installation page
// says, with buildah, from an image of a bare Debian 12 with the Zeek of this machine in
// it in place of Zeek's own image, and labels a capture in it.
func TestZeekImage(t *testing.T) {
	if os.Getenv("SERVEFLOW_IMAGE") == "" {
		t.Skip("SERVEFLOW_IMAGE is not set: use make test-zeek-image")
	}
	for _, tool := range []string{"buildah", "mmdebstrap", "zeek"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	root := engine.Root(t)
	mirror := strings.TrimSpace(must(t, exec.Command("bash", "-c",
		`apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }'`)))
	if mirror == "" {
		t.Skip("apt's sources name no mirror of Debian 12")
	}
	prefix := strings.TrimSpace(must(t, exec.Command("zeek-config", "--prefix")))
	dir := t.TempDir()
	bare := filepath.Join(dir, "bare.tar")
	must(t, exec.Command("mmdebstrap", "--quiet", "--variant=minbase", "--include=libpcap0.8,libssl3,zlib1g,libstdc++6",
		`--aptopt=Acquire::Languages "none"`, "bookworm", bare, mirror))
	t.Setenv("BUILDAH_ISOLATION", "chroot")
	base := fmt.Sprintf("localhost/serveflow-test-zeek-%d", os.Getpid())
	image := base + "-plugin"
	script := `set -e
c=$(buildah from scratch)
buildah add --quiet "$c" "$1" / >/dev/null
buildah add --quiet "$c" "$2" "$2" >/dev/null
buildah config --env "PATH=$2/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$c"
buildah commit --quiet --rm "$c" "$3"`
	must(t, exec.Command("bash", "-c", script, "bash", bare, prefix, base))
	t.Cleanup(func() { exec.Command("buildah", "rmi", "--force", image, base).Run() })
	build := exec.Command("buildah", "bud", "--build-arg", "ZEEK="+base, "-t", image, "-f", "packaging/zeek.Containerfile", ".")
	build.Dir = root
	must(t, build)

	sidecar := engine.Start(t, filepath.Join(root, "test/bundle/toy"), "")
	container := strings.TrimSpace(must(t, exec.Command("buildah", "from", image)))
	t.Cleanup(func() { exec.Command("buildah", "rm", container).Run() })
	said := must(t, exec.Command("buildah", "run", "--volume", filepath.Dir(sidecar.Socket)+":/run/serveflow",
		"--volume", filepath.Join(root, "test/captures")+":/captures:ro", "--volume", dir+":/logs", "--workingdir", "/logs", container,
		"zeek", "-C", "-r", "/captures/dns.pcap", "serveflow", "LogAscii::use_json=T",
		"ServeFlow::socket=/run/serveflow/"+filepath.Base(sidecar.Socket)))
	rows := readLogs(t, dir, said).flows(t)
	if len(rows) == 0 {
		t.Fatalf("no rows: %s", said)
	}
	for _, r := range rows {
		if r.Label == "" {
			t.Errorf("%s has no label: %s", r.UID, said)
		}
	}
}
