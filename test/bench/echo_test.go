package bench

import (
	"net"
	"path/filepath"
	"testing"

	"serveflow/sidecar/tap/wire"
)

// TestEcho sees that each flow is answered once, by its first packet, and before SYNCED.
func TestEcho(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stop, err := echo(path, wire.Welcome{Packets: 3, RawBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	conn, in, need, err := dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if need.Packets != 3 || need.RawBytes != 100 {
		t.Errorf("it asks for %+v", need)
	}
	out := wire.NewEncoder(conn)
	for flow := uint64(1); flow <= 3; flow++ {
		for n := uint64(1); n <= 2; n++ {
			if err := out.Packet(&wire.Message{Flow: wire.UintID(flow), OrigPkts: n, Link: 101, Raw: []byte{0x45}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := out.Sync(7, true); err != nil {
		t.Fatal(err)
	}
	var m wire.Message
	for want := uint64(1); want <= 3; want++ {
		if err := in.Next(&m); err != nil || m.Kind != wire.KindLabel || m.Label.Flow != wire.UintID(want) || m.Label.Packets != 1 {
			t.Fatalf("%v %+v", err, m)
		}
	}
	if err := in.Next(&m); err != nil || m.Kind != wire.KindSynced || m.Token != 7 {
		t.Fatalf("%v %+v", err, m)
	}
	conn.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("it still listens")
	}
}
