package main

import (
	"fmt"
	"strings"
)

// database is PostgreSQL and Redis over TLS.
var database = label{name: "database-tls", programs: []program{
	{"psql", "", postgres(func(l *lab) error {
		c := l.client.command("psql", "-q", "-v", "ON_ERROR_STOP=1", l.postgresURL())
		c.Stdin = strings.NewReader(strings.Join(l.statements(), "\n") + "\n")
		return l.client.finish(c)
	})},
	{"redis-cli", "", redis(func(l *lab) error {
		c := l.client.command("redis-cli", "-h", l.Server.Address, "-p", fmt.Sprint(l.Port), "--tls", "--cacert", "ca.pem")
		c.Stdin = strings.NewReader(l.redisCommands())
		return l.client.finish(c)
	})},
	{"redis-benchmark", "", redis(func(l *lab) error {
		return l.client.run("redis-benchmark", "-q", "-h", l.Server.Address, "-p", fmt.Sprint(l.Port), "--tls", "--cacert", "ca.pem",
			"-c", fmt.Sprint(l.between(1, 3)), "-n", fmt.Sprint(l.between(5, 60)), "-t", one(l, "set,get", "lpush", "incr"), "-d", fmt.Sprint(l.size(3, 3000)))
	})},
	{"pgbench", calibration, postgres(func(l *lab) error {
		return l.client.run("pgbench", "-n", "-c", fmt.Sprint(l.between(1, 2)), "-t", fmt.Sprint(l.between(1, 8)), "-M", one(l, "simple", "extended", "prepared"), l.postgresURL())
	})},
	{"psycopg2", test, postgres(func(l *lab) error {
		return l.client.run("/usr/bin/python3", append([]string{"-c", "import psycopg2, sys\nc = psycopg2.connect(sys.argv[1])\nq = c.cursor()\nfor s in sys.argv[2:]: q.execute(s)\nc.commit(); c.close()",
			l.postgresURL()}, l.statements()...)...)
	})},
	{"redis-python", test, redis(func(l *lab) error {
		return l.client.run("/usr/bin/python3", "-c", `import redis, sys
r = redis.Redis(sys.argv[1], int(sys.argv[2]), ssl=True, ssl_ca_certs="ca.pem", ssl_check_hostname=False)
for line in sys.argv[3].splitlines(): r.execute_command(*line.split())`, l.Server.Address, fmt.Sprint(l.Port), l.redisCommands())
	})},
}}

func (l *lab) postgresURL() string {
	return fmt.Sprintf("postgresql://postgres@%s:%d/postgres?sslmode=require", l.Server.Address, l.Port)
}

func (l *lab) statements() (all []string) {
	for range l.between(1, 8) {
		all = append(all, one(l,
			"SELECT now();",
			"SELECT * FROM pgbench_accounts LIMIT 40;",
			fmt.Sprintf("SELECT abalance FROM pgbench_accounts WHERE aid = %d;", l.rng.IntN(1000)),
			fmt.Sprintf("UPDATE pgbench_tellers SET tbalance = %d WHERE tid = 3;", l.rng.IntN(1000)),
			fmt.Sprintf("INSERT INTO pgbench_history VALUES (1, 1, %d, 7, now(), '%s');", l.rng.IntN(1000), strings.Repeat("x", l.between(0, 22))),
			"SELECT relname, relkind FROM pg_class ORDER BY 1 LIMIT 200;",
		))
	}
	return all
}

func postgres(use func(*lab) error) func(*lab) error {
	return func(l *lab) error {
		if _, err := l.identity(); err != nil {
			return err
		}
		// It refuses root.
		script := l.write("postgres.sh", `set -e
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
mkdir pg pgkeys && cp cert.pem key.pem pgkeys && chown -R postgres pg pgkeys && chmod 700 pg
as() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
as $bin/initdb -D pg -A trust --no-sync >/dev/null
echo 'host all all all trust' >>pg/pg_hba.conf
as $bin/pg_ctl -s -w -D pg -l pg/log -o "-p %d -c listen_addresses=* -c fsync=off -c unix_socket_directories=/run/lab/pg -c ssl=on -c ssl_cert_file=/run/lab/pgkeys/cert.pem -c ssl_key_file=/run/lab/pgkeys/key.pem" start
as $bin/pgbench -h /run/lab/pg -p %d -i -q postgres
`, l.Port, l.Port)
		if err := l.server.run("sh", script); err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 4, func(int) error { return use(l) })
	}
}

func redis(use func(*lab) error) func(*lab) error {
	return func(l *lab) error {
		if _, err := l.identity(); err != nil {
			return err
		}
		if _, err := l.server.start("redis-server", "--port", "0", "--tls-port", fmt.Sprint(l.Port), "--bind", "0.0.0.0", "--protected-mode", "no",
			"--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no",
			"--tls-protocols", one(l, "TLSv1.2", "TLSv1.3", "TLSv1.2 TLSv1.3"), "--save", "", "--appendonly", "no"); err != nil {
			return err
		}
		if err := l.server.listens("tcp", l.Port); err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 4, func(int) error { return use(l) })
	}
}

// redisCommands are lines for redis-cli.
func (l *lab) redisCommands() string {
	var lines strings.Builder
	for range l.between(2, 25) {
		key := fmt.Sprintf("key:%d", l.rng.IntN(20))
		switch l.rng.IntN(4) {
		case 0:
			fmt.Fprintf(&lines, "SET %s %s\n", key, strings.Repeat("v", l.size(3, 2000)))
		case 1:
			fmt.Fprintf(&lines, "INCR count:%d\n", l.rng.IntN(3))
		case 2:
			fmt.Fprintf(&lines, "LPUSH list %s\nLRANGE list 0 5\n", key)
		default:
			fmt.Fprintf(&lines, "GET %s\n", key)
		}
	}
	return lines.String()
}
