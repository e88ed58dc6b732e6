package dissect

import "strconv"

// An alert in clear (RFC 8446 section 6):
//
//	level         1   1 warning, 2 fatal; TLS 1.3 ignores it
//	description   1

const (
	alertWarning = 1
	alertFatal   = 2

	alertCloseNotify     = 0
	alertNoCertificate   = 41 // SSL 3.0: the answer to a CertificateRequest (RFC 6101 section 5.4.2)
	alertUserCanceled    = 90
	alertNoRenegotiation = 100
)

// alertNames is the registry "TLS Alerts", reserved ones included.
var alertNames = map[byte]string{
	0:   "close_notify",
	10:  "unexpected_message",
	20:  "bad_record_mac",
	21:  "decryption_failed",
	22:  "record_overflow",
	30:  "decompression_failure",
	40:  "handshake_failure",
	41:  "no_certificate",
	42:  "bad_certificate",
	43:  "unsupported_certificate",
	44:  "certificate_revoked",
	45:  "certificate_expired",
	46:  "certificate_unknown",
	47:  "illegal_parameter",
	48:  "unknown_ca",
	49:  "access_denied",
	50:  "decode_error",
	51:  "decrypt_error",
	52:  "too_many_cids_requested",
	60:  "export_restriction",
	70:  "protocol_version",
	71:  "insufficient_security",
	80:  "internal_error",
	86:  "inappropriate_fallback",
	90:  "user_canceled",
	100: "no_renegotiation",
	109: "missing_extension",
	110: "unsupported_extension",
	111: "certificate_unobtainable",
	112: "unrecognized_name",
	113: "bad_certificate_status_response",
	114: "bad_certificate_hash_value",
	115: "unknown_psk_identity",
	116: "certificate_required",
	117: "general_error",
	120: "no_application_protocol",
	121: "ech_required",
}

func alertName(description byte) string {
	if name, ok := alertNames[description]; ok {
		return name
	}
	return "alert_" + strconv.Itoa(int(description))
}

// alert reads an alert. A fatal one ends the handshake.
func (p *tlsParser) alert(dir Dir, b []byte, facts *Facts) {
	r := newReader(b)
	level := r.u8("alert level")
	description := r.u8("alert description")
	if r.err() != nil {
		return
	}
	if facts.traced() {
		facts.tell(dir, 1, "alert: "+alertName(byte(description)), Field{"level", alertLevel(level)})
	}
	if level == alertWarning && description == alertNoCertificate && dir == p.client {
		p.sayClientCert(facts, "empty", "observed")
	}
	switch description {
	case alertCloseNotify, alertUserCanceled, alertNoRenegotiation:
		return
	}
	if level != alertFatal && !(p.tls13() && level == alertWarning) {
		return
	}
	facts.SetText(TLSAlert, alertName(byte(description)))
	facts.SetText(TLSAlertBy, p.end(dir))
	if (p.clientHello != helloMissing || p.serverHello != helloMissing) && !p.established() {
		p.finish(failed, facts)
	}
	// What a server refuses up to TLS 1.2 may be captured behind its alert: the
	// client's part, with the certificate that it was asked for.
	p.settled = dir == p.client || p.tls13() || p.certKnown || !facts.knows(TLSCertRequest)
}
