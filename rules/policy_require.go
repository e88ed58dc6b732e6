package rules

import (
	"strconv"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// state is what a flow says of a requirement.
type state uint8

const (
	unseen state = iota // neither one nor the other
	holds
	contradicted
)

// check says whether r holds for f, and what was seen where.
func (r *requirement) check(f *flows.Flow) (state, string, pcaps.FrameID) {
	if r.app {
		return r.checkApp(f)
	}
	s, saw, frame := unseen, "", pcaps.FrameID(0)
	if r.key == dissect.TLSClientCert && !sureOfClientCert(f) {
		return s, saw, frame
	}
	kind := r.key.Info().Kind
	var digits [20]byte
	for i, all := 0, f.Facts.All(); i < len(all); i++ {
		fact := &all[i]
		if fact.Key != r.key {
			continue
		}
		value, ok := fact.Str, false
		switch kind {
		case dissect.Flag:
			value = "false"
			if fact.Num != 0 {
				value = "true"
			}
			ok = r.Accepts(value)
		case dissect.Int, dissect.Ints:
			ok = r.Accepts(string(strconv.AppendInt(digits[:0], fact.Num, 10)))
			value = ""
		default:
			ok = r.Accepts(value)
		}
		if !ok {
			return contradicted, value, pcaps.FrameID(fact.Frame())
		}
		s, saw, frame = holds, value, pcaps.FrameID(fact.Frame())
	}
	return s, saw, frame
}

// sureOfClientCert says that what is known of the client's certificate is enough
// to judge by. What was inferred from less than both directions is not; what an
// earlier handshake of the same ends showed speaks for a client, not against it.
func sureOfClientCert(f *flows.Flow) bool {
	return f.Facts.Text(dissect.TLSClientCertSure) != "medium" ||
		f.Facts.Text(dissect.TLSClientCertBasis) == "resumed" && f.Facts.Text(dissect.TLSClientCert) == "present"
}

// checkApp compares the protocol that f speaks. A flow whose bytes were read
// whole and taken for no known protocol contradicts the requirement; one that
// was cut, lossy or silent does not.
func (r *requirement) checkApp(f *flows.Flow) (state, string, pcaps.FrameID) {
	frame := f.TCP.DataFrame[0]
	if frame == 0 {
		frame = f.TCP.DataFrame[1]
	}
	if frame == 0 {
		frame = f.Frame
	}
	switch {
	case f.App != "" && f.AppBasis != dissect.ByPort:
		if r.Accepts(f.App) {
			return holds, f.App, frame
		}
		// Decrypted with its keys, TLS shows what it carries.
		if r.Accepts("tls") && f.Facts.Has(dissect.TLSVersion) {
			return holds, "tls", frame
		}
		return contradicted, f.App, frame
	case f.Payload[0] == 0, incomplete(f), f.Dissect.Late, f.Dissect.Undecided:
		return unseen, "", frame
	case f.Payload[0] < minUnrecognised && f.Payload[1] < minUnrecognised:
		return unseen, "", frame
	}
	return contradicted, "", frame
}

// minUnrecognised is how many bytes one end must have sent for them to be taken
// for another protocol than the one required.
const minUnrecognised = 4
