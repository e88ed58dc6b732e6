package dissect

import (
	"crypto/tls"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
)

const maxTraced = 12 // elements of one list that are told of

// traceRecord tells of a record in clear at byte at of what Parse was given.
func (p *tlsParser) traceRecord(dir Dir, at, typ, version, length int, facts *Facts) {
	text := "TLS record"
	switch typ {
	case recordCCS:
		text = "TLS ChangeCipherSpec"
	case recordAlert:
		text = "TLS alert record"
	case recordHandshake:
		text = "TLS handshake record"
	}
	facts.open(dir, at, recordHeader+length)
	facts.tell(dir, 0, text, Field{"version", versionName(uint16(version))}, Field{"length", bytesOf(length)})
}

// traceSealed tells of a record of which only type and length are known, and
// what its length says.
func (p *tlsParser) traceSealed(dir Dir, at, typ, length int, facts *Facts) {
	text := "TLS sealed record"
	switch typ {
	case recordAlert:
		text = "TLS sealed alert"
	case recordHandshake:
		text = "TLS sealed handshake record"
	}
	facts.open(dir, at, recordHeader+length)
	facts.tell(dir, 0, text, Field{"length", bytesOf(length)}, Field{"may hold", p.mayHold(dir, typ, length)})
}

// mayHold puts into words what a sealed record of TLS 1.3 is as long as. It is
// what tls_auth.go goes by; which of several it is, the sequence tells.
func (p *tlsParser) mayHold(dir Dir, typ, length int) string {
	suite, known := sealOf(p.suite)
	if !known || !p.tls13() || p.serverHello == helloMissing || typ != recordApplication {
		return ""
	}
	n := uint16(length)
	var may []string
	if suite.holds(n, alertLength) {
		may = append(may, "an alert")
	}
	if dir == p.client && !p.flight.over {
		suite.settings = p.offersSettings
		switch {
		case p.flight.n > 0 && suite.finished(n):
			may = append(may, "Finished")
		case suite.finishes(n, 0):
			may = append(may, "Finished alone: no certificate")
		case suite.finishes(n, emptyCertificateLength):
			may = append(may, "an empty Certificate and Finished")
		case suite.begins(n, emptyCertificateLength):
			may = append(may, "an empty Certificate")
		case suite.certificate(n):
			may = append(may, "a Certificate")
		}
		if suite.verify(n) {
			may = append(may, "a CertificateVerify")
		}
	}
	return strings.Join(may, ", or ")
}

var messageNames = map[int]string{
	msgHelloRequest:        "HelloRequest",
	msgClientHello:         "ClientHello",
	msgServerHello:         "ServerHello",
	msgNewSessionTicket:    "NewSessionTicket",
	msgEndOfEarlyData:      "EndOfEarlyData",
	msgHelloRetryRequest:   "HelloRetryRequest",
	msgEncryptedExtensions: "EncryptedExtensions",
	msgCertificate:         "Certificate",
	msgServerKeyExchange:   "ServerKeyExchange",
	msgCertificateRequest:  "CertificateRequest: the server asks for a client certificate",
	msgServerHelloDone:     "ServerHelloDone",
	msgCertificateVerify:   "CertificateVerify: the sender proves that it has the certificate's key",
	msgClientKeyExchange:   "ClientKeyExchange",
	msgFinished:            "Finished",
	msgCertificateStatus:   "CertificateStatus",
	msgKeyUpdate:           "KeyUpdate",
}

func messageName(typ int) string {
	if name, ok := messageNames[typ]; ok {
		return name
	}
	return "handshake message " + strconv.Itoa(typ)
}

// trace tells of a ClientHello.
func (h *clientHello) trace(dir Dir, facts *Facts) {
	var alpn []string
	for names := newReader(h.alpn); names.left() > 0 && len(alpn) < maxTraced; {
		alpn = append(alpn, protocolName(names.bytes("protocol", names.u8("protocol length"))))
	}
	versions := versionName(uint16(h.version))
	if len(h.versions) > 0 {
		versions = eachTwo(h.versions, func(v int) string { return versionName(negotiated(v)) })
	}
	var offers []string
	for _, o := range [...]struct {
		has  bool
		what string
	}{{h.hasPSK, "to resume a session (pre_shared_key)"}, {h.hasEarlyData, "early data"}, {h.hasECH, "encrypted_client_hello"}, {h.hasSettings, "application_settings"}} {
		if o.has {
			offers = append(offers, o.what)
		}
	}
	sni := printable(clipBytes(h.serverName))
	if sni == "" {
		sni = "none"
	}
	facts.tell(dir, 1, "ClientHello",
		Field{"versions", versions},
		Field{"server name", sni},
		Field{"alpn", strings.Join(alpn, ", ")},
		Field{"cipher suites", strconv.Itoa(len(h.suites) / 2)},
		Field{"signature algorithms", countOf(len(h.signatureAlgs) / 2)},
		Field{"groups", countOf(len(h.groups) / 2)},
		Field{"session id", bytesOf(len(h.sessionID))},
		Field{"offers", strings.Join(offers, ", ")})
}

// trace tells of a ServerHello or HelloRetryRequest.
func (h *serverHello) trace(dir Dir, facts *Facts) {
	text := "ServerHello"
	if h.retry {
		text = "HelloRetryRequest: the server wants another ClientHello"
	}
	resumes := ""
	if h.hasPSK {
		resumes = "an earlier session (pre_shared_key)"
	}
	facts.tell(dir, 1, text,
		Field{"version", versionName(negotiated(h.version))},
		Field{"cipher suite", SuiteName(h.suite)},
		Field{"alpn", printable(clipBytes(h.alpn))},
		Field{"resumes", resumes})
}

// traceCertificates tells of a Certificate message in clear: the sender's own,
// and how many are behind it.
func (p *tlsParser) traceCertificates(dir Dir, leaf []byte, behind int, facts *Facts) {
	text := "Certificate of the " + p.end(dir)
	if len(leaf) == 0 {
		facts.tell(dir, 1, text+": empty, it shows none")
		return
	}
	c := p.context.certificate(leaf)
	signed := ""
	if c.selfSigned {
		signed = "by its own key"
	}
	names := c.names
	if len(names) > maxTraced {
		names = append(slices.Clone(names[:maxTraced]), "…")
	}
	facts.tell(dir, 1, text,
		Field{"common name", c.cn},
		Field{"names", strings.Join(names, ", ")},
		Field{"issuer", c.issuer},
		Field{"signed", signed},
		Field{"valid", c.notBefore + " to " + c.notAfter},
		Field{"sha256", c.sha256},
		Field{"issuers sent along", countOf(behind)})
}

// traceClientCert tells what was concluded about the client's certificate.
func (p *tlsParser) traceClientCert(what, basis string, facts *Facts) {
	switch basis {
	case "inferred":
		basis = " (inferred from the lengths of sealed records)"
	case "":
	default:
		basis = " (" + basis + ")"
	}
	facts.conclude(p.client, "client certificate: "+what+basis)
}

// SuiteName is a cipher suite by name, where the standard library knows it,
// and number.
func SuiteName(suite int) string {
	if suite == 0 {
		return ""
	}
	number := hex16(suite)
	if name := tls.CipherSuiteName(uint16(suite)); strings.HasPrefix(name, "TLS_") {
		return name + " (" + number + ")"
	}
	return number
}

// eachTwo names the numbers of a list of two bytes each, GREASE left out, and
// those that share a name once.
func eachTwo(b []byte, name func(int) string) string {
	var names []string
	for ; len(b) >= 2 && len(names) < maxTraced; b = b[2:] {
		if v := int(binary.BigEndian.Uint16(b)); !isGREASE(v) && !slices.Contains(names, name(v)) {
			names = append(names, name(v))
		}
	}
	return strings.Join(names, ", ")
}

func alertLevel(level int) string {
	switch level {
	case alertWarning:
		return "warning"
	case alertFatal:
		return "fatal"
	}
	return strconv.Itoa(level)
}
