package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// NewAuthority makes an authority.
func NewAuthority(t *testing.T, name string) *Authority {
	t.Helper()
	a := &Authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.pem = a.sign(template, template, a.key, a.key)
	block, _ := pem.Decode(a.pem)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	a.cert = cert
	return a
}

// sign makes a certificate of a key, signed by the authority's, or by the key itself.
func (a *Authority) sign(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Certificate is the authority's own, in PEM.
func (a *Authority) Certificate() []byte { return a.pem }

// Issue makes a key and a certificate of it, in PEM, for a server on an address or, without
// one, for a client.
func (a *Authority) Issue(name string, address net.IP) (cert, key []byte) {
	a.t.Helper()
	private := newKey(a.t)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.certify(name, address, private), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Certify makes a certificate of a key that there is, for a client.
func (a *Authority) Certify(name string, key []byte) []byte {
	a.t.Helper()
	block, _ := pem.Decode(key)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.certify(name, nil, private.(*ecdsa.PrivateKey))
}

func (a *Authority) certify(name string, address net.IP, key *ecdsa.PrivateKey) []byte {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if address != nil {
		template.IPAddresses = []net.IP{address}
	}
	return a.sign(template, a.cert, key, a.key)
}

// Certify gives the broker a certificate for an address: it listens with TLS when it is
// started next.
func (b *Broker) Certify(a *Authority, address net.IP) {
	b.t.Helper()
	cert, key := a.Issue("broker", address)
	for name, text := range map[string][]byte{"broker.pem": append(key, cert...), "authority.pem": a.pem} {
		if err := os.WriteFile(filepath.Join(b.dir, name), text, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}
