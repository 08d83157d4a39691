package telemetry

import (
	"encoding/json"
	"net/http"
)

// Status is the state of the sidecar and its connections: what GET /status answers,
// as JSON.
type Status struct {
	Version string      `json:"version"`          // of the program
	Bundle  string      `json:"bundle"`           // name@version of the bundle that new flows begin with
	Shadow  string      `json:"shadow,omitempty"` // of the bundle that decides beside it
	Taps    []TapStatus `json:"taps"`
	// EVEConnections is the number of Suricatas, or threads of one, that send their
	// records; nil without a listener for them.
	EVEConnections *int `json:"eve_connections,omitempty"`
}

// TapStatus is one connection of a tap.
type TapStatus struct {
	PID           int    `json:"pid"` // as the kernel reports it; 0: not known
	UID           uint32 `json:"uid"`
	Sensor        string `json:"sensor"` // empty before HELLO, as are engine and mode
	Engine        string `json:"engine"`
	EngineVersion string `json:"engine_version"`
	Mode          string `json:"mode"` // "live" or "capture"
	// Welcomed is whether HELLO was answered by WELCOME.
	Welcomed bool `json:"welcomed"`
	// Events counts PACKET, META and END. LastMessage is when any message came, and
	// PacketTime is that of the newest packet: seconds since the epoch, 0 before.
	Events      uint64  `json:"events"`
	LastMessage float64 `json:"last_message"`
	PacketTime  float64 `json:"packet_time"`
	Dropped     uint64  `json:"dropped"` // events that the tap dropped, by its own count
}

// ReadStatus sets the function whose result /status answers.
func (m *Metrics) ReadStatus(read func() Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = read
}

func (m *Metrics) serveStatus(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	read := m.status
	m.mu.Unlock()
	if read == nil {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(read()) // a client that has disconnected needs no answer
}
