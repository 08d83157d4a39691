package bundle

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/BurntSushi/toml"
)

// Digest is 12 hexadecimal digits of a hash of the manifest, which has the digests
// of all files: two bundles with the same digest make the same decisions.
func (b *Bundle) Digest() string {
	h := sha256.New()
	if err := toml.NewEncoder(h).Encode(b.Manifest); err != nil {
		panic(err) // it was read from TOML
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}
