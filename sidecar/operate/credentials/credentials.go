// Package credentials reads the files that a configuration names to prove who somebody
// is: passwords, certificates and keys. It waits for none, as reading a FIFO would, and
// reads no more of one than such a file may have.
package credentials

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxFile is how large a file may be: one with all authorities of a system has 200 KiB.
const maxFile = 4 << 20

// Read returns a file of at most so many bytes.
func Read(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", path, most)
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// Client returns what a client of TLS 1.2 or newer needs: the file of the authorities that
// sign servers' certificates, or "" for the system's.
func Client(authorities string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if authorities == "" {
		return config, nil
	}
	text, err := Read(authorities, maxFile)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", authorities)
	}
	return config, nil
}

// Pair reads a certificate and its key.
func Pair(certificate, key string) (tls.Certificate, error) {
	public, err := Read(certificate, maxFile)
	private, errKey := Read(key, maxFile)
	if err := errors.Join(err, errKey); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(public, private)
}
