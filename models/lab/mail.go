package main

import (
	"fmt"
	"os"
	"strings"
)

// mail is IMAP, POP3 and SMTP over TLS, from the start or after STARTTLS.
var mail = label{name: "mail-tls", programs: []program{
	{"imap-curl", "", dovecot("imaps", func(l *lab) error {
		return l.client.run("curl", append(l.mailCurl(), "imaps://"+l.mailServer()+"/INBOX;MAILINDEX="+fmt.Sprint(l.between(1, 4)))...)
	})},
	{"imap-python", "", dovecot("imaps", func(l *lab) error {
		return l.client.run("/usr/bin/python3", "-c", `import imaplib, ssl, sys
m = imaplib.IMAP4_SSL(sys.argv[1], int(sys.argv[2]), ssl_context=ssl._create_unverified_context())
m.login("me", "secret"); m.select(); m.search(None, "ALL")
for i in sys.argv[3:]: m.fetch(i, "(RFC822.HEADER)" if int(i) % 2 else "(RFC822)")
m.logout()`, l.Server.Address, fmt.Sprint(l.Port), "1", fmt.Sprint(l.between(1, 4)), fmt.Sprint(l.between(1, 4)))
	})},
	{"smtp-swaks", "", exim(func(l *lab, implicit bool) error {
		return l.client.run("swaks", "--silent", "3", map[bool]string{true: "--tls-on-connect", false: "-tls"}[implicit], "--server", l.Server.Address, "--port", fmt.Sprint(l.Port),
			"--to", "you@lab.test", "--from", "me@lab.test", "--ehlo", "client.lab.test", "--body", "@"+l.write("body.txt", l.message()))
	})},
	{"imap-starttls", "", dovecot("imap", func(l *lab) error {
		return l.client.run("curl", append(l.mailCurl(), "--ssl-reqd", "imap://"+l.mailServer()+"/INBOX;MAILINDEX=1")...)
	})},
	{"smtp-msmtp", calibration, exim(func(l *lab, implicit bool) error {
		c := l.client.command("msmtp", "--host="+l.Server.Address, "--port="+fmt.Sprint(l.Port), "--tls=on", "--tls-certcheck=off",
			"--tls-starttls="+map[bool]string{true: "off", false: "on"}[implicit], "--from=me@lab.test", "you@lab.test")
		c.Stdin = strings.NewReader("Subject: lab\n\n" + l.message())
		return l.client.finish(c)
	})},
	{"pop3-curl", calibration, dovecot("pop3s", func(l *lab) error {
		return l.client.run("curl", append(l.mailCurl(), "pop3s://"+l.mailServer()+"/"+one(l, "", "1", "2"))...)
	})},
	{"imap-mbsync", test, dovecot("imaps", func(l *lab) error {
		os.RemoveAll("copy")
		os.MkdirAll("copy", 0o700)
		conf := l.write("mbsyncrc", `IMAPStore far
Host %s
Port %d
User me
Pass secret
SSLType IMAPS
AuthMechs PLAIN LOGIN
CertificateFile %s/cert.pem

MaildirStore near
Path %s/copy/
Inbox %s/copy/INBOX

Channel all
Far :far:
Near :near:
Create Near
SyncState *
`, l.Server.Address, l.Port, work, work, work)
		return l.client.run("mbsync", "-c", conf, "all")
	})},
	{"smtp-curl", test, exim(func(l *lab, implicit bool) error {
		l.write("mail.txt", "Subject: lab\r\n\r\n"+l.message())
		url := map[bool]string{true: "smtps://", false: "smtp://"}[implicit] + l.mailServer() + "/client.lab.test"
		return l.client.run("curl", append(l.mailCurl()[:4], "--ssl-reqd", "--mail-from", "me@lab.test", "--mail-rcpt", "you@lab.test", "-T", "mail.txt", url)...)
	})},
}}

func (l *lab) mailServer() string { return fmt.Sprintf("%s:%d", l.Server.Address, l.Port) }

func (l *lab) mailCurl() []string {
	return []string{"-sS", "-k", "-o", "/dev/null", "-u", "me:secret"}
}

func (l *lab) message() string {
	return strings.Repeat("A line of a message, as people write them.\r\n", l.size(1, 600))
}

func dovecot(protocol string, use func(*lab) error) func(*lab) error {
	return func(l *lab) error {
		if _, err := l.identity(); err != nil {
			return err
		}
		for i := range l.between(4, 9) {
			l.write(fmt.Sprintf("mail/new/%d.lab", i), "From: you@lab.test\nTo: me@lab.test\nSubject: %d\nMessage-ID: <%d@lab.test>\n\n%s", i, i, l.message())
		}
		os.MkdirAll("mail/cur", 0o755)
		os.MkdirAll("mail/tmp", 0o755)
		if err := l.server.run("chown", "-R", "mail:mail", "mail"); err != nil {
			return err
		}
		listener := func(name string) string {
			if name != protocol {
				return fmt.Sprintf("inet_listener %s {\n port = 0\n}\n", name)
			}
			return fmt.Sprintf("inet_listener %s {\n port = %d\n ssl = %s\n}\n", name, l.Port, map[bool]string{true: "yes", false: "no"}[strings.HasSuffix(name, "s")])
		}
		conf := l.write("dovecot.conf", `protocols = imap pop3
base_dir = /run/lab/dovecot
log_path = /dev/stderr
ssl = required
ssl_cert = </run/lab/cert.pem
ssl_key = </run/lab/key.pem
ssl_min_protocol = TLSv1.2
passdb {
 driver = static
 args = password=secret
}
userdb {
 driver = static
 args = uid=mail gid=mail home=/run/lab/mail
}
first_valid_uid = 1
mail_location = maildir:/run/lab/mail
listen = *
service imap-login {
 chroot =
%s%s}
service pop3-login {
 chroot =
%s%s}
`, listener("imap"), listener("imaps"), listener("pop3"), listener("pop3s"))
		if _, err := l.server.start("dovecot", "-F", "-c", conf); err != nil {
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

func exim(use func(l *lab, implicit bool) error) func(*lab) error {
	return func(l *lab) error {
		if _, err := l.identity(); err != nil {
			return err
		}
		implicit := l.rng.IntN(2) == 0
		onConnect := ""
		if implicit {
			onConnect = fmt.Sprintf("tls_on_connect_ports = %d\n", l.Port)
		}
		conf := l.write("exim.conf", `primary_hostname = mx.lab.test
spool_directory = /run/lab/spool
log_file_path = /run/lab/spool/%%slog
tls_certificate = /run/lab/cert.pem
tls_privatekey = /run/lab/key.pem
tls_advertise_hosts = *
daemon_smtp_ports = %d
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = anybody
%sbegin acl
anybody:
  accept
begin routers
nowhere:
  driver = redirect
  data = :blackhole:
`, l.Port, onConnect)
		if err := l.server.run("sh", "-c", "mkdir spool && chown Debian-exim spool && chown root:Debian-exim cert.pem key.pem exim.conf && chmod 640 cert.pem key.pem exim.conf"); err != nil {
			return err
		}
		if _, err := l.server.start("exim4", "-bdf", "-C", conf); err != nil {
			return err
		}
		if err := l.server.listens("tcp", l.Port); err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		defer l.server.run("sh", "-c", "cat spool/*log")
		return l.some(2, 4, func(int) error { return use(l, implicit) })
	}
}
