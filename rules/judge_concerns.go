package rules

import (
	"strconv"
	"strings"
	"time"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// shutLimit is how long a closed window holds a transfer up noticeably,
// nanoseconds.
const shutLimit = 1_000_000_000

// addConcerns notes what good practice says of a flow and the diagram does
// not. A concern never changes the verdict.
func (p *Policy) addConcerns(f *flows.Flow, v *Verdict) {
	for d, who := range [2]string{"the client's window", "the server's window"} {
		if f.TCP.ZeroWindow[d] >= shutLimit {
			v.concern(ZeroWindow, uint64(f.TCP.ZeroWindowFrame[d]), who)
		}
	}
	switch f.App {
	case "tls", "quic", "dtls":
		p.tlsConcerns(f, v)
	case "smb":
		p.smbConcerns(f, v)
	case "http", "http2":
		p.httpConcerns(f, v)
	}
}

func (v *Verdict) concern(r Reason, frame uint64, saw string) {
	v.Concerns = append(v.Concerns, Because{r, pcaps.FrameID(frame), saw})
}

// tlsConcerns looks at version, suite and the server's certificate. In TLS 1.3
// the certificate is sealed: nothing is said of it unless it was decrypted.
func (p *Policy) tlsConcerns(f *flows.Flow, v *Verdict) {
	var notBefore, notAfter, cn, sni dissect.Fact
	named, fits := false, false
	all := f.Facts.All()
	for i := range all {
		if all[i].Key == dissect.TLSSNI {
			sni = all[i]
		}
	}
	for i := range all {
		fact := &all[i]
		switch fact.Key {
		case dissect.TLSVersion:
			switch fact.Str {
			case "1.1", "1.0", "ssl3", "ssl2", "dtls1.0":
				v.concern(TLSVersionObsolete, fact.Frame(), fact.Str)
			}
		case dissect.TLSCipher:
			v.cipherConcerns(fact)
		case dissect.TLSCertNotBefore:
			notBefore = *fact
		case dissect.TLSCertNotAfter:
			notAfter = *fact
		case dissect.TLSCertSelfSigned:
			if fact.Num != 0 {
				v.concern(ServerCertificateSelfSigned, fact.Frame(), "")
			}
		case dissect.TLSCertSAN:
			named = true
			fits = fits || certNameFits(fact.Str, sni.Str)
		case dissect.TLSCertCN:
			cn = *fact
		}
	}
	if t, ok := parseTime(notBefore.Str); ok && f.Start < t {
		v.concern(ServerCertificateNotYetValid, notBefore.Frame(), notBefore.Str)
	}
	if t, ok := parseTime(notAfter.Str); ok && f.Start > t {
		v.concern(ServerCertificateExpired, notAfter.Frame(), notAfter.Str)
	}
	// RFC 6125 section 6.4.4: the common name counts only where there are no
	// alternative names.
	if sni.Str != "" && !fits && (named || cn.Str != "" && !certNameFits(cn.Str, sni.Str)) {
		v.concern(ServerCertificateNameMismatch, max(cn.Frame(), notAfter.Frame()), cn.Str)
	}
}

// certNameFits compares a name of a certificate with the one asked for: a star
// stands for one whole label, the first (RFC 6125 section 6.4.3).
func certNameFits(pattern, name string) bool {
	if rest, ok := strings.CutPrefix(pattern, "*."); ok {
		_, parent, found := strings.Cut(name, ".")
		return found && strings.EqualFold(strings.TrimSuffix(parent, "."), rest)
	}
	return strings.EqualFold(strings.TrimSuffix(pattern, "."), strings.TrimSuffix(name, "."))
}

func parseTime(s string) (nanoseconds int64, ok bool) {
	if s == "" {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, false
	}
	if y := t.Year(); y < 1900 || y > 2200 { // outside what nanoseconds since 1970 can hold
		if y < 1900 {
			return -1 << 62, true
		}
		return 1<<63 - 1, true
	}
	return t.UnixNano(), true
}

// cipherConcerns names the weaknesses of a suite, by its number in the TLS
// Cipher Suites registry of IANA.
func (v *Verdict) cipherConcerns(fact *dissect.Fact) {
	n, err := strconv.ParseUint(strings.TrimPrefix(fact.Str, "0x"), 16, 16)
	if err != nil {
		return
	}
	for i := range weakSuites {
		if w := &weakSuites[i]; isOneOf(uint16(n), w.suites) {
			v.concern(w.reason, fact.Frame(), fact.Str)
		}
	}
}

// span is a run of suite numbers, inclusive.
type span struct{ low, high uint16 }

func isOneOf(s uint16, list []span) bool {
	for _, r := range list {
		if r.low <= s && s <= r.high {
			return true
		}
	}
	return false
}

// weakSuites are the weak suites of the registry; one that is weak in several
// ways is in several lists.
var weakSuites = [...]struct {
	reason Reason
	suites []span
}{
	{TLSCipherNull, []span{{0x0000, 0x0002}, {0x002c, 0x002e}, {0x003b, 0x003b}, {0x00b0, 0x00b1}, {0x00b4, 0x00b5},
		{0x00b8, 0x00b9}, {0xc001, 0xc001}, {0xc006, 0xc006}, {0xc00b, 0xc00b}, {0xc010, 0xc010}, {0xc015, 0xc015},
		{0xc039, 0xc03b}, {0xc0b4, 0xc0b5}}},
	{TLSCipherAnonymous, []span{{0x0017, 0x001b}, {0x0034, 0x0034}, {0x003a, 0x003a}, {0x0046, 0x0046}, {0x006c, 0x006d},
		{0x0089, 0x0089}, {0x009b, 0x009b}, {0x00a6, 0x00a7}, {0x00bf, 0x00bf}, {0x00c5, 0x00c5}, {0xc015, 0xc019},
		{0xc046, 0xc047}, {0xc05a, 0xc05b}, {0xc084, 0xc085}}},
	{TLSCipherExport, []span{{0x0003, 0x0003}, {0x0006, 0x0006}, {0x0008, 0x0008}, {0x000b, 0x000b}, {0x000e, 0x000e},
		{0x0011, 0x0011}, {0x0014, 0x0014}, {0x0017, 0x0017}, {0x0019, 0x0019}, {0x0026, 0x002b}}},
	{TLSCipherRC4, []span{{0x0003, 0x0005}, {0x0017, 0x0018}, {0x0020, 0x0020}, {0x0024, 0x0024}, {0x0028, 0x0028},
		{0x002b, 0x002b}, {0x008a, 0x008a}, {0x008e, 0x008e}, {0x0092, 0x0092}, {0xc002, 0xc002}, {0xc007, 0xc007},
		{0xc00c, 0xc00c}, {0xc011, 0xc011}, {0xc016, 0xc016}, {0xc033, 0xc033}}},
	{TLSCipher3DES, []span{{0x0008, 0x000a}, {0x000b, 0x0016}, {0x0019, 0x001b}, {0x001e, 0x001f}, {0x0022, 0x0023},
		{0x0026, 0x0026}, {0x0029, 0x0029}, {0x008b, 0x008b}, {0x008f, 0x008f}, {0x0093, 0x0093}, {0xc003, 0xc003},
		{0xc008, 0xc008}, {0xc00d, 0xc00d}, {0xc012, 0xc012}, {0xc017, 0xc017}, {0xc01a, 0xc01c}, {0xc034, 0xc034}}},
	// Keys agreed by RSA encryption, by static Diffie-Hellman, or shared ahead
	// and mixed with neither.
	{TLSCipherNoForwardSecrecy, []span{{0x0001, 0x0010}, {0x002f, 0x0031}, {0x0035, 0x0037}, {0x003b, 0x003f},
		{0x0041, 0x0043}, {0x0068, 0x0069}, {0x0084, 0x0086}, {0x008a, 0x008d}, {0x0092, 0x0098}, {0x009c, 0x009d},
		{0x00a0, 0x00a1}, {0x00a4, 0x00a5}, {0x00a8, 0x00a9}, {0x00ac, 0x00b1}, {0x00b6, 0x00bc}, {0x00c0, 0x00c2},
		{0xc001, 0xc005}, {0xc00b, 0xc00f}, {0xc025, 0xc026}, {0xc029, 0xc02a}, {0xc02d, 0xc02e}, {0xc031, 0xc032},
		{0xc09c, 0xc09d}, {0xc0a0, 0xc0a1}}},
	{TLSCipherCBCSHA1, []span{{0x002f, 0x0033}, {0x0035, 0x0039}, {0x0041, 0x0045}, {0x0084, 0x0088}, {0x008c, 0x008d},
		{0x0090, 0x0091}, {0x0094, 0x009a}, {0xc004, 0xc005}, {0xc009, 0xc00a}, {0xc00e, 0xc00f}, {0xc013, 0xc014},
		{0xc01d, 0xc022}, {0xc035, 0xc036}}},
}

func (p *Policy) smbConcerns(f *flows.Flow, v *Verdict) {
	signed, encrypted, smb1, session := dissect.Fact{}, false, false, false
	known := false
	all := f.Facts.All()
	for i := range all {
		fact := &all[i]
		switch fact.Key {
		case dissect.SMBSMB1Session: // a negotiate that SMB2 ends is none
			if smb1 = fact.Num != 0; smb1 {
				v.concern(SMB1, fact.Frame(), f.Facts.Text(dissect.SMBDialect))
			}
		case dissect.SMBAuth:
			session = true
			switch fact.Str {
			case "anonymous":
				v.concern(SMBAnonymous, fact.Frame(), "")
			case "guest":
				v.concern(SMBGuest, fact.Frame(), "")
			case "ntlmv1":
				v.concern(NTLMv1, fact.Frame(), "")
			}
		case dissect.SMBStatus:
			saw := fact.Str
			if user := f.Facts.Text(dissect.SMBUser); user != "" { // known only where users may be named
				saw += " for " + user
			}
			v.concern(SMBAuthFailed, fact.Frame(), saw)
		case dissect.SMBSigned:
			signed, known = *fact, true
		case dissect.SMBEncrypted:
			encrypted = fact.Num != 0
		}
	}
	if known && session && signed.Num == 0 && !encrypted && !smb1 && f.Facts.Text(dissect.SMBStatus) == "" {
		v.concern(SMB2Unsigned, signed.Frame(), "")
	}
}

// httpConcerns notes tokens that cross in clear on an edge that allows HTTP.
func (p *Policy) httpConcerns(f *flows.Flow, v *Verdict) {
	if f.Facts.Has(dissect.TLSVersion) {
		return
	}
	for i := range v.Reasons {
		if v.Reasons[i].Reason == JWTInClear {
			return
		}
	}
	if t, ok := f.Facts.Get(dissect.HTTPToken); ok {
		v.concern(JWTInClear, t.Frame(), t.Str)
	}
}
