package suricata

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// costRules writes a ruleset of the size and the make-up of a public one for
// intrusion detection: most rules look for a text in HTTP, then DNS names, TLS
// server names and plain streams; one in six has a regular expression. They are
// generated, and match next to nothing.
func costRules(t *testing.T, dir string, n int) (file string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var all strings.Builder
	for sid := 1; sid <= n; sid++ {
		fmt.Fprintf(&all, "alert %s msg:\"cost %d\"; classtype:misc-activity; sid:%d; rev:1;)\n", costRule(random), sid, sid)
	}
	file = filepath.Join(dir, "cost.rules")
	if err := os.WriteFile(file, []byte(all.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// costRule is a rule up to its msg.
func costRule(random *rand.Rand) string {
	word := func() string {
		syllables := [...]string{"ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "xu", "za"}
		var w strings.Builder
		for range 3 + random.IntN(4) {
			w.WriteString(syllables[random.IntN(len(syllables))])
		}
		return w.String()
	}
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	regexp := func(buffer string) string {
		if random.IntN(6) > 0 {
			return ""
		}
		return fmt.Sprintf(`pcre:"/%s[a-z0-9]{4,12}\x2e(?:php|exe|bin)/%s"; `, word(), buffer)
	}
	const toServer, toClient = "flow:established,to_server; ", "flow:established,to_client; "
	switch kind := random.IntN(100); {
	case kind < 35:
		return fmt.Sprintf(`http $HOME_NET any -> $EXTERNAL_NET any (%shttp.method; content:"%s"; http.uri; content:"/%s/%s"; fast_pattern; %s`,
			toServer, pick("GET", "POST"), word(), word(), regexp("U"))
	case kind < 45:
		return fmt.Sprintf(`http $HOME_NET any -> $EXTERNAL_NET any (%shttp.user_agent; content:"%s/"; startswith; http.host; content:"%s.%s"; endswith; `,
			toServer, word(), word(), pick("com", "net", "ru"))
	case kind < 52:
		return fmt.Sprintf(`http $EXTERNAL_NET any -> $HOME_NET any (%sfile.data; content:"%s"; fast_pattern; content:"%s"; distance:0; %s`,
			toClient, word()+word(), word(), regexp("R"))
	case kind < 70:
		return fmt.Sprintf(`dns $HOME_NET any -> any any (dns.query; content:"%s.%s"; nocase; endswith; `, word(), pick("com", "top", "xyz"))
	case kind < 84:
		return fmt.Sprintf(`tls $HOME_NET any -> $EXTERNAL_NET any (%stls.sni; content:"%s.%s"; endswith; `,
			toServer, word(), pick("com", "top", "xyz"))
	case kind < 94:
		return fmt.Sprintf(`tcp $EXTERNAL_NET any -> $HOME_NET %s (%scontent:"%s|00|"; fast_pattern; content:"%s"; within:64; %s`,
			pick("any", "445", "21", "25", "[139,445]", "1024:"), toServer, word(), word(), regexp(""))
	default:
		return fmt.Sprintf(`udp $HOME_NET any -> $EXTERNAL_NET %s (dsize:>12; content:"|%02x %02x|%s"; depth:40; `,
			pick("any", "53", "123", "1900", "1024:"), random.IntN(256), random.IntN(256), word())
	}
}
