package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// identity is a server's key and certificate, in files.
type identity struct {
	cert, key, both string // both: certificates, then the key
	ca              string
	name            string // of the server
}

var hostNames = []string{"www", "files", "api", "portal", "cdn-3.static", "mx1", "node-17.prod.eu-west", "x"}

// identity makes a certificate as servers have them: of RSA or an elliptic curve,
// signed by an authority or by another that one signed.
func (l *lab) identity() (identity, error) {
	id := identity{name: one(l, hostNames...) + one(l, ".example.com", ".lab.test", ".corporation.example.org")}
	if err := l.names(id.name); err != nil {
		return id, err
	}
	newKey := func() (crypto.Signer, error) {
		if l.rng.IntN(3) == 0 {
			return rsa.GenerateKey(cryptorand.Reader, 2048)
		}
		return ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	}
	template := func(name string, ca bool) *x509.Certificate {
		c := &x509.Certificate{
			SerialNumber: new(big.Int).SetUint64(l.rng.Uint64()),
			Subject:      pkix.Name{CommonName: name, Organization: []string{one(l, "Example", "Example Trust Services Ltd", "Lab")}, Country: []string{"EX"}},
			NotBefore:    time.Now().Add(-24 * time.Hour),
			NotAfter:     time.Now().Add(60 * 24 * time.Hour),
			IsCA:         ca, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		}
		if ca {
			c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
			return c
		}
		c.DNSNames = []string{name, "localhost"}
		for i := range l.rng.IntN(12) {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("alt%d.%s", i, name))
		}
		c.IPAddresses = []net.IP{net.ParseIP(l.Server.Address), net.IPv4(127, 0, 0, 1)}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		c.OCSPServer = []string{"http://ocsp.example.org"}
		return c
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	// From the root down to the server.
	names := []string{"Example Root", id.name}
	if l.rng.IntN(2) == 0 {
		names = []string{"Example Root", "Example Issuing CA 4", id.name}
	}
	var parent *x509.Certificate
	var parentKey, key crypto.Signer
	var chain, root string
	for i, name := range names {
		var err error
		if key, err = newKey(); err != nil {
			return id, err
		}
		t := template(name, i < len(names)-1)
		if parent == nil {
			parent, parentKey = t, key
		}
		der, err := x509.CreateCertificate(cryptorand.Reader, t, parent, key.Public(), parentKey)
		if err != nil {
			return id, err
		}
		if i == 0 {
			root = block("CERTIFICATE", der)
		} else {
			chain = block("CERTIFICATE", der) + chain
		}
		if parent, err = x509.ParseCertificate(der); err != nil {
			return id, err
		}
		parentKey = key
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return id, err
	}
	private := block("PRIVATE KEY", der)
	id.cert, id.key, id.both = l.write("cert.pem", chain), l.write("key.pem", private), l.write("both.pem", chain+private)
	id.ca = l.write("ca.pem", root)
	return id, nil
}
