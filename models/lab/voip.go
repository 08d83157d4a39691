package main

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"time"
)

// voip is calls: SIP and the RTP that it arranges.
var voip = label{name: "voip", reached: true, programs: []program{
	{"sipp-udp", "", calls("u1", "uac_pcap")},
	{"sipp-echo", "", calls("u1", "uac")},
	{"sipp-tcp", calibration, calls("t1", "uac_pcap")},
	{"baresip", test, baresip},
	{"rtp-ffmpeg", "", camera("udp and host $AT").with(sh(ffmpegPlays("udp")))},
	{"rtp-gstreamer", test, camera("udp and host $AT").with(sh(gstPlays("udp")))},
	{"register-sipp", "", register("u1")},
	{"register-sipp-tcp", calibration, register("t1")},
	{"register-sipsak", "", sipsak},
	{"register-baresip", test, registeredCalls},
}}

func calls(transport, scenario string) func(*lab) error {
	return func(l *lab) error {
		// sipp looks for the voice of its built-in scenario here.
		if err := l.client.run("ln", "-s", "/usr/share/sip-tester", "pcap"); err != nil {
			return err
		}
		at := l.Server.Address
		protocol := map[byte]string{'u': "udp", 't': "tcp"}[transport[0]]
		media := 10000 + 2*l.rng.IntN(10000)
		server, err := l.server.start("sipp", "-sn", "uas", "-i", at, "-p", fmt.Sprint(l.Port), "-t", transport, "-mi", at, "-mp", fmt.Sprint(media), "-rtp_echo", "-nostdin")
		if err != nil {
			return err
		}
		defer server.stop(syscall.SIGKILL)
		if err := l.server.listens(protocol, l.Port); err != nil {
			return err
		}
		if err := l.capture("host %s and (tcp or udp)", at); err != nil {
			return err
		}
		return l.some(2, 3, func(i int) error {
			here := l.Client.Address
			p, err := l.client.start("sipp", "-sn", scenario, "-i", here, "-p", fmt.Sprint(20000+l.rng.IntN(10000)), "-t", transport, "-mi", here,
				"-mp", fmt.Sprint(30000+2*l.rng.IntN(1000)), "-m", "1", "-d", fmt.Sprint(l.between(500, 4000)), "-s", one(l, "service", "100", "alice"), "-nostdin",
				fmt.Sprintf("%s:%d", at, l.Port))
			if err != nil {
				return err
			}
			select {
			case <-p.done:
			case <-time.After(time.Duration(l.between(3000, 9000)) * time.Millisecond):
				p.stop(syscall.SIGKILL)
			}
			return nil
		})
	}
}

// baresip is a softphone at either end; both play a recording of noise.
func baresip(l *lab) error {
	l.voice()
	account := func(user string, h *host, port int) string {
		return fmt.Sprintf("sip:%s@%s:%d", user, h.Address, port)
	}
	bob := account("bob", l.server, l.Port)
	p, err := l.phone(l.server, "phone", bob, l.Port, "regint=0", "")
	if err != nil {
		return err
	}
	defer p.stop(syscall.SIGTERM)
	if err := l.server.listens("udp", l.Port); err != nil {
		return err
	}
	if err := l.capture("host %s and udp", l.Server.Address); err != nil {
		return err
	}
	return l.some(2, 2, func(i int) error {
		port := 20000 + l.rng.IntN(10000)
		p, err := l.phone(l.client, fmt.Sprintf("caller%d", i), account("alice", l.client, port), port, "regint=0", "/dial "+bob)
		if err != nil {
			return err
		}
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			p.stop(syscall.SIGTERM)
		}
		return nil
	})
}

// voice makes the recording that phones play.
func (l *lab) voice() {
	noise := make([]byte, 2*8000*10)
	for i := range noise {
		noise[i] = byte(l.rng.Uint32())
	}
	wav := binary.LittleEndian
	header := append([]byte("RIFF"), wav.AppendUint32(nil, uint32(36+len(noise)))...)
	header = append(header, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...) // PCM, one channel
	header = wav.AppendUint32(header, 8000)
	header = wav.AppendUint32(header, 16000)
	header = append(header, "\x02\x00\x10\x00data"...)
	header = wav.AppendUint32(header, uint32(len(noise)))
	l.write("voice.wav", string(header)+string(noise))
}

// phone starts Baresip on a host with an account and its options, and has it do
// something at once, if anything, and end after some seconds.
func (l *lab) phone(h *host, dir, account string, port int, options, do string) (*process, error) {
	l.write(dir+"/config", `sip_listen %s:%d
audio_player aufile,/dev/null
audio_source aufile,/run/lab/voice.wav
audio_alert aufile,/dev/null
rtp_ports %d-%d
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module_app account.so
module_app menu.so
`, h.Address, port, 10000+2*l.rng.IntN(5000), 22000)
	l.write(dir+"/accounts", "<%s>;%s;answermode=auto;audio_codecs=%s\n", account, options, one(l, "PCMU", "PCMA", "PCMU,PCMA"))
	args := []string{"-f", work + "/" + dir}
	if do != "" {
		args = append(args, "-e", do, "-t", fmt.Sprint(l.between(4, 8)))
	}
	return h.start("baresip", args...)
}
