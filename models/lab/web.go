package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// web is what people and programs fetch with HTTP over TLS: pages and answers
// of some kilobytes.
var web = label{name: "web", share: 2, programs: append([]program{
	{"curl-http2", "", webWith(func(l *lab, urls []string) error {
		return l.client.run("curl", l.curl("--http2", urls)...)
	})},
	{"curl-http1", "", webWith(func(l *lab, urls []string) error {
		return l.client.run("curl", l.curl("--http1.1", urls)...)
	})},
	{"requests", "", webWith(python("import requests, sys\ns = requests.Session()\nfor u in sys.argv[1:]: s.get(u, verify='ca.pem')\n"))},
	{"chromium", "", webWith(chromium)},
	{"httpx-http2", calibration, webWith(python("import httpx, sys\nwith httpx.Client(http2=True, verify='ca.pem') as s:\n  for u in sys.argv[1:]: s.get(u)\n"))},
	{"wget", test, webWith(func(l *lab, urls []string) error {
		return l.client.run("wget", append([]string{"-q", "-O", "/dev/null", "--ca-certificate=ca.pem"}, urls...)...)
	})},
	{"urllib", test, webWith(python("import ssl, sys, urllib.request\nc = ssl.create_default_context(cafile='ca.pem')\nfor u in sys.argv[1:]: urllib.request.urlopen(u, context=c).read()\n"))},
}, tlsStacks...)}

// bulk is the transfer of one large thing over TLS, in either direction.
var bulk = label{name: "bulk-tls", programs: []program{
	{"curl-download", "", bulkWith(func(l *lab, url string) error {
		return l.client.run("curl", l.curl(one(l, "--http1.1", "--http2"), []string{url})...)
	})},
	{"curl-upload", "", bulkWith(func(l *lab, url string) error {
		big := l.data("upload", l.size(1<<19, 2<<20))
		return l.client.run("curl", append([]string{"-T", big}, l.curl(one(l, "--http1.1", "--http2"), []string{url + ".put"})...)...)
	})},
	{"socat", "", socatTransfer},
	{"wget-continue", calibration, bulkWith(func(l *lab, url string) error {
		return l.client.run("wget", "-q", "-c", "-O", fmt.Sprint("got", l.rng.Uint32()), "--ca-certificate=ca.pem", url)
	})},
	{"aria2", test, bulkWith(func(l *lab, url string) error {
		return l.client.run("aria2c", "-q", "--allow-overwrite", "-d", "/tmp", "--ca-certificate=ca.pem", "-x", fmt.Sprint(l.between(1, 4)), "-k", "1M", url)
	})},
	{"lftp", test, bulkWith(func(l *lab, url string) error {
		return l.client.run("lftp", "-c", fmt.Sprintf("set ssl:ca-file ca.pem; set xfer:clobber yes; get -O /tmp %s", url))
	})},
}}

// curl returns curl's arguments to get URLs and throw away what comes.
func (l *lab) curl(version string, urls []string) []string {
	args := []string{"-sS", "--fail", "--cacert", "ca.pem", version}
	for _, u := range urls {
		args = append(args, "-o", "/dev/null", u)
	}
	return args
}

// nginxHead begins a configuration of nginx, within the block http.
const nginxHead = `user root;
worker_processes 1;
pid nginx.pid;
events {}
http {
	access_log off;
	client_max_body_size 100m;
	client_body_temp_path /run/lab/body;
	proxy_temp_path /run/lab/proxy; fastcgi_temp_path /run/lab/fcgi; uwsgi_temp_path /run/lab/uwsgi; scgi_temp_path /run/lab/scgi;
	types { text/html html; text/css css; application/javascript js; image/png png; }
`

// nginx starts a web server with TLS and returns its base URL.
func (l *lab) nginx() (string, error) {
	id, err := l.identity()
	if err != nil {
		return "", err
	}
	os.MkdirAll("www", 0o755)
	os.Chmod("www", 0o755)
	conf := l.write("nginx.conf", nginxHead+`	keepalive_timeout %d;
	gzip %s;
	server {
		listen %d ssl http2;
		ssl_certificate cert.pem;
		ssl_certificate_key key.pem;
		ssl_protocols %s;
		ssl_session_tickets %s;
		root /run/lab/www;
		location ~ \.put$ { proxy_pass http://unix:/run/lab/sink.sock; }
	}
	server { listen unix:/run/lab/sink.sock; location / { return 204; } }
}
`, l.between(5, 75), one(l, "on", "off"), l.Port, one(l, "TLSv1.2", "TLSv1.3", "TLSv1.2 TLSv1.3"), one(l, "on", "off"))
	if _, err := l.server.start("nginx", "-p", work, "-c", conf, "-e", "nginx.log", "-g", "daemon off;"); err != nil {
		return "", err
	}
	host := id.name
	if l.rng.IntN(5) == 0 {
		host = l.Server.Address
	}
	return fmt.Sprintf("https://%s:%d/", host, l.Port), l.server.listens("tcp", l.Port)
}

// webWith has a client fetch pages from nginx.
func webWith(fetch func(l *lab, urls []string) error) func(*lab) error {
	return func(l *lab) error {
		base, err := l.nginx()
		if err != nil {
			return err
		}
		pages := l.site()
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 5, func(int) error {
			urls := make([]string, l.between(1, 6))
			for i := range urls {
				urls[i] = base + one(l, pages...)
			}
			return fetch(l, urls)
		})
	}
}

// site makes pages and what they show, and returns the names of all.
func (l *lab) site() []string {
	var names []string
	for i := range l.between(4, 15) {
		name := fmt.Sprintf("item%d.%s", i, one(l, "png", "js", "css", "bin"))
		l.data("www/"+name, l.size(200, 120_000))
		names = append(names, name)
	}
	for i := range 3 {
		page := "<html><body>" + strings.Repeat("<p>Text of a page.</p>", l.size(5, 900))
		for _, name := range names {
			if strings.HasSuffix(name, "png") && l.rng.IntN(2) == 0 {
				page += fmt.Sprintf("<img src=%q>", "/"+name)
			}
		}
		name := fmt.Sprintf("page%d.html", i)
		os.Chmod(l.write("www/"+name, page+"</body></html>"), 0o644)
		names = append(names, name)
	}
	return names
}

// chromium opens pages in the browser, one start for one page.
func chromium(l *lab, urls []string) error {
	base := urls[0][:strings.LastIndex(urls[0], "/")+1]
	return l.client.run("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-extensions", "--disable-default-apps", "--ignore-certificate-errors", "--user-data-dir=/tmp/chromium",
		fmt.Sprintf("--explicitly-allowed-ports=%d", l.Port), "--dump-dom", base+fmt.Sprintf("page%d.html", l.rng.IntN(3)))
}

// python returns a client that is a script, with URLs as its arguments.
func python(script string) func(*lab, []string) error {
	return func(l *lab, urls []string) error {
		return l.client.run("/usr/bin/python3", append([]string{"-c", script}, urls...)...)
	}
}

func bulkWith(transfer func(l *lab, url string) error) func(*lab) error {
	return func(l *lab) error {
		base, err := l.nginx()
		if err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 3, func(i int) error {
			name := fmt.Sprintf("archive%d", i)
			l.data("www/"+name, l.size(1<<19, 2<<20))
			return transfer(l, base+name)
		})
	}
}

// socatTransfer pipes data through TLS without any protocol on top.
func socatTransfer(l *lab) error {
	if _, err := l.identity(); err != nil {
		return err
	}
	down := l.rng.IntN(2) == 0
	listen := fmt.Sprintf("OPENSSL-LISTEN:%d,reuseaddr,fork,cert=both.pem,verify=0", l.Port)
	data := l.data("data", l.size(1<<19, 2<<20))
	file, sink := "OPEN:"+data+",rdonly", "CREATE:/dev/null"
	args := []string{"-U", listen, file}
	if !down {
		args = []string{"-u", listen, "OPEN:/dev/null,wronly"}
	}
	server, err := l.server.start("socat", args...)
	if err != nil {
		return err
	}
	defer server.stop(syscall.SIGTERM)
	if err := l.server.listens("tcp", l.Port); err != nil {
		return err
	}
	if err := l.captureTCP(); err != nil {
		return err
	}
	return l.some(2, 3, func(int) error {
		connect := fmt.Sprintf("OPENSSL:%s:%d,verify=0", l.Server.Address, l.Port)
		if down {
			return l.client.run("socat", "-u", connect, strings.Replace(sink, "CREATE", "OPEN", 1)+",wronly")
		}
		return l.client.run("socat", "-u", file, connect)
	})
}
