package dissect

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Certificate, up to TLS 1.2 (RFC 5246 section 7.4.2; sealed in TLS 1.3):
//
//	list length     3
//	  certificate   3 + n   the sender's own first, then its issuers
//
// A client without a suitable certificate sends an empty list. In TLS 1.3 (RFC
// 8446 section 4.4.2) a context goes ahead, 1 + n bytes, and each certificate
// has extensions behind it, 2 + n bytes.

const (
	maxCachedCertificates = 1024
	maxVerifiedKey        = 8192 // bits of an RSA key whose own signature is checked
	rawPublicKey          = 2    // a certificate type, RFC 7250 section 7
	maxNames              = 64   // alternative names kept of one certificate
)

// certificate is what is told of one.
type certificate struct {
	sha256              string
	cn, issuer          string
	names               []string
	notBefore, notAfter string // RFC 3339
	selfSigned          bool
}

// readCertificates takes in a whole Certificate message.
func (p *tlsParser) readCertificates(dir Dir, r *reader, facts *Facts) error {
	tls13 := p.opened && p.tls13()
	if tls13 {
		r.bytes("certificate context", r.u8("certificate context length"))
	}
	if !tls13 && p.sides[dir].rawKey {
		return p.readRawKey(dir, r, facts)
	}
	list := r.within("certificates", r.be24("certificates length"))
	var leaf []byte
	behind := -1
	for ; list.left() > 0; behind++ {
		der := list.bytes("certificate", list.be24("certificate length"))
		if behind < 0 {
			leaf = der
		}
		if tls13 {
			list.bytes("certificate extensions", list.be16("certificate extensions length"))
		}
	}
	if r.err() == nil {
		r.empty("certificate message")
	}
	if r.err() != nil {
		return r.err()
	}
	if facts.traced() {
		p.traceCertificates(dir, leaf, behind, facts)
	}
	fromClient := dir == p.client
	if fromClient && p.clientHello == helloMissing && p.serverHello == helloMissing {
		return nil // no hello was seen: nothing told who is who
	}
	// A certificate that the server asks for behind the handshake (section
	// 4.6.2) says nothing of the handshake.
	later := fromClient && p.opened && p.tls13() && p.opener.finished
	if len(leaf) == 0 {
		if later {
			facts.SetText(TLSClientCertLater, "empty")
		} else if fromClient {
			p.sayClientCert(facts, "empty", p.basis())
		}
		return nil
	}
	c := p.context.certificate(leaf)
	if fromClient {
		if later {
			facts.SetText(TLSClientCertLater, "present")
		} else {
			p.certificate = c
			p.sayClientCert(facts, "present", p.basis())
		}
		c.tell(facts, TLSClientCertSHA256, TLSClientCertCN, TLSClientCertSAN, TLSClientCertIssuer, TLSClientCertNotBefore, TLSClientCertNotAfter)
		return nil
	}
	c.tell(facts, TLSCertSHA256, TLSCertCN, TLSCertSAN, TLSCertIssuer, TLSCertNotBefore, TLSCertNotAfter)
	if c.selfSigned {
		facts.SetFlag(TLSCertSelfSigned, true)
	}
	return nil
}

// readRawKey takes in a Certificate message that is a public key alone (RFC 7250
// section 3): the end is known by its key, of which nothing is told.
//
//	length  3   0 where the client shows none
//	key         SubjectPublicKeyInfo
func (p *tlsParser) readRawKey(dir Dir, r *reader, facts *Facts) error {
	key := r.bytes("public key", r.be24("public key length"))
	r.empty("certificate message")
	if r.err() != nil {
		return r.err()
	}
	what := "present"
	if len(key) == 0 {
		what = "empty"
	}
	if facts.traced() {
		facts.tell(dir, 1, "Certificate of the "+p.end(dir)+": a raw public key", Field{"length", bytesOf(len(key))})
	}
	if dir == p.client {
		p.sayClientCert(facts, what, p.basis())
	}
	return nil
}

// cutCertificates takes in the beginning of a Certificate message: the length
// of the list tells whether there are any, where it is not lost.
func (p *tlsParser) cutCertificates(dir Dir, r *reader, facts *Facts) (ok bool) {
	n := r.be24("certificates length")
	if r.err() != nil || dir != p.client || p.clientHello == helloMissing && p.serverHello == helloMissing {
		return false
	}
	if n > 0 {
		p.sayClientCert(facts, "present", "observed")
	} else {
		p.sayClientCert(facts, "empty", "observed")
	}
	return true
}

// tell makes facts of c, under the keys of one end.
func (c *certificate) tell(facts *Facts, sum, cn, san, issuer, notBefore, notAfter Key) {
	facts.list = slices.Grow(facts.list, 6+len(c.names))
	facts.SetText(sum, c.sha256)
	for _, f := range [...]struct {
		key  Key
		text string
	}{{cn, c.cn}, {issuer, c.issuer}, {notBefore, c.notBefore}, {notAfter, c.notAfter}} {
		if f.text != "" {
			facts.SetText(f.key, f.text)
		}
	}
	facts.AddDistinct(san, c.names)
}

// certificate reads der, or remembers it: few certificates are shown often.
func (c *Context) certificate(der []byte) *certificate {
	sum := sha256.Sum256(der)
	if known, ok := c.certificates[sum]; ok {
		return known
	}
	if c.certificates == nil || len(c.certificates) >= maxCachedCertificates {
		c.certificates = make(map[[32]byte]*certificate)
	}
	known := readCertificate(der)
	known.sha256 = hex.EncodeToString(sum[:])
	c.certificates[sum] = known
	return known
}

// readCertificate reads a certificate (RFC 5280). Where the standard library's
// parser refuses it, a plainer reading takes what can be had.
func readCertificate(der []byte) *certificate {
	x, err := x509.ParseCertificate(der)
	if err != nil {
		return walkCertificate(der)
	}
	c := &certificate{
		cn:        printable([]byte(x.Subject.CommonName)),
		issuer:    printable([]byte(x.Issuer.String())),
		notBefore: x.NotBefore.UTC().Format(time.RFC3339),
		notAfter:  x.NotAfter.UTC().Format(time.RFC3339),
	}
	for _, name := range x.DNSNames {
		c.name(name)
	}
	for _, ip := range x.IPAddresses {
		c.name(ip.String())
	}
	for _, mail := range x.EmailAddresses {
		c.name(mail)
	}
	for _, uri := range x.URIs {
		c.name(uri.String())
	}
	c.selfSigned = bytes.Equal(x.RawSubject, x.RawIssuer) && ownSignature(x)
	return c
}

// name keeps an alternative name, once.
func (c *certificate) name(s string) {
	if n := printable([]byte(s)); len(c.names) < maxNames && !slices.Contains(c.names, n) {
		c.names = append(c.names, n)
	}
}

// ownSignature says whether x is signed by its own key, as far as that can be
// checked: an algorithm that is not supported any more is taken on trust, and
// so is a key so long that checking it would take long.
func ownSignature(x *x509.Certificate) bool {
	if key, ok := x.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxVerifiedKey {
		return true
	}
	err := x.CheckSignature(x.SignatureAlgorithm, x.RawTBSCertificate, x.Signature)
	switch err.(type) {
	case nil, x509.InsecureAlgorithmError:
		return true
	}
	return err == x509.ErrUnsupportedAlgorithm
}

// walkCertificate reads the outline of a certificate (RFC 5280 section 4.1):
//
//	SEQUENCE                  certificate
//	  SEQUENCE                tbsCertificate
//	    [0] version           optional
//	    INTEGER               serial number
//	    SEQUENCE              signature algorithm
//	    SEQUENCE              issuer
//	    SEQUENCE              validity: two times
//	    SEQUENCE              subject
//	    ...
//
// and keeps what it got when the bytes stop making sense.
func walkCertificate(der []byte) *certificate {
	c := new(certificate)
	in := cryptobyte.String(der)
	var outer, tbs, issuer, validity, subject cryptobyte.String
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!tbs.SkipASN1(cbasn1.INTEGER) || !tbs.SkipASN1(cbasn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&issuer, cbasn1.SEQUENCE) {
		return c
	}
	c.issuer, _ = walkName(issuer)
	if !tbs.ReadASN1(&validity, cbasn1.SEQUENCE) {
		return c
	}
	c.notBefore = walkTime(&validity)
	c.notAfter = walkTime(&validity)
	if !tbs.ReadASN1Element(&subject, cbasn1.SEQUENCE) {
		return c
	}
	_, c.cn = walkName(subject)
	c.selfSigned = bytes.Equal(subject, issuer)
	return c
}

// walkName reads a distinguished name: its text and its common name.
func walkName(der []byte) (text, cn string) {
	var sequence pkix.RDNSequence
	if _, err := asn1.Unmarshal(der, &sequence); err != nil {
		return "", ""
	}
	var name pkix.Name
	name.FillFromRDNSequence(&sequence)
	return printable([]byte(name.String())), printable([]byte(name.CommonName))
}

// walkTime reads a UTCTime or GeneralizedTime; "" for anything else.
func walkTime(in *cryptobyte.String) string {
	var body cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&body, &tag) {
		return ""
	}
	layouts := []string{"060102150405Z0700", "0601021504Z0700"}
	if tag == cbasn1.GeneralizedTime {
		layouts = []string{"20060102150405Z0700"}
	} else if tag != cbasn1.UTCTime {
		return ""
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, string(body))
		if err != nil {
			continue
		}
		if tag == cbasn1.UTCTime && t.Year() >= 2050 {
			t = t.AddDate(-100, 0, 0) // RFC 5280 section 4.1.2.5.1
		}
		return t.UTC().Format(time.RFC3339)
	}
	return ""
}
