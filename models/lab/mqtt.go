package main

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// mqtt is MQTT over TLS.
var mqtt = label{name: "mqtt-tls", programs: []program{
	{"publish", "", broker(func(l *lab) error {
		return l.client.run("mosquitto_pub", append(l.mosquitto(), "-t", l.topic(), "-m", l.reading(), "--repeat", fmt.Sprint(l.between(1, 6)), "--repeat-delay", "0.4")...)
	})},
	{"subscribe", "", broker(func(l *lab) error {
		p, err := l.client.start("mosquitto_sub", append(l.mosquitto(), "-t", "lab/#")...)
		if err != nil {
			return err
		}
		l.pause(500, 1500)
		for range l.between(1, 4) {
			if err := l.server.run("mosquitto_pub", "-h", "127.0.0.1", "-p", "7001", "-t", l.topic(), "-m", l.reading()); err != nil {
				return err
			}
			l.pause(50, 900)
		}
		time.Sleep(100 * time.Millisecond)
		p.stop(syscall.SIGINT)
		return nil
	})},
	{"last-message", calibration, broker(func(l *lab) error {
		return l.client.run("mosquitto_sub", append(l.mosquitto(), "-t", "lab/#", "-C", "1", "-W", "3", "--will-topic", "lab/gone", "--will-payload", l.reading())...)
	})},
	{"paho", test, broker(func(l *lab) error {
		return l.client.run("/usr/bin/python3", "-c", `import paho.mqtt.client as m, sys, time
c = m.Client(client_id=sys.argv[3], clean_session=True)
c.tls_set("ca.pem"); c.tls_insecure_set(True)
c.connect(sys.argv[1], int(sys.argv[2]), 30); c.loop_start(); c.subscribe("lab/#", 1)
for a in sys.argv[4:]: c.publish("lab/paho", a, 1); time.sleep(0.3)
time.sleep(0.5); c.disconnect(); c.loop_stop()`, l.Server.Address, fmt.Sprint(l.Port), fmt.Sprint("device", l.rng.IntN(1e6)), l.reading(), l.reading(), l.reading())
	})},
}}

func (l *lab) topic() string {
	return one(l, "lab/temperature", "lab/building/7/door", "lab/s", "lab/meters/electricity/total/kwh")
}

func (l *lab) reading() string {
	switch l.rng.IntN(3) {
	case 0:
		return fmt.Sprint(l.rng.Float32())
	case 1:
		return fmt.Sprintf(`{"id":%d,"value":%f,"unit":"W","ok":true}`, l.rng.IntN(1e6), l.rng.Float64())
	}
	return strings.Repeat("sample ", l.size(2, 300))
}

// mosquitto returns the arguments of mosquitto's clients to reach the server.
func (l *lab) mosquitto() []string {
	return []string{"-h", l.Server.Address, "-p", fmt.Sprint(l.Port), "--cafile", "ca.pem", "-q", fmt.Sprint(l.rng.IntN(3)), "-k", fmt.Sprint(l.between(5, 60)),
		"-V", one(l, "mqttv311", "mqttv5"), "-i", fmt.Sprintf("%s%d", one(l, "dev", "sensor-", "mosq-"), l.rng.Uint32())}
}

func broker(use func(*lab) error) func(*lab) error {
	return func(l *lab) error {
		if _, err := l.identity(); err != nil {
			return err
		}
		conf := l.write("mosquitto.conf", "user root\nper_listener_settings false\nallow_anonymous true\nlistener %d\ncertfile %s/cert.pem\nkeyfile %s/key.pem\n%slistener 7001 127.0.0.1\n",
			l.Port, work, work, one(l, "", "tls_version tlsv1.2\n"))
		if _, err := l.server.start("mosquitto", "-c", conf); err != nil {
			return err
		}
		if err := l.server.listens("tcp", l.Port); err != nil {
			return err
		}
		if err := l.server.run("mosquitto_pub", "-h", "127.0.0.1", "-p", "7001", "-r", "-t", "lab/state", "-m", l.reading()); err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 3, func(int) error { return use(l) })
	}
}
