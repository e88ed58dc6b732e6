package rules

import (
	"strconv"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// Standing is what a flow says of a requirement.
type Standing uint8

// A requirement that is neither seen to hold nor contradicted is Unseen.
const (
	Unseen Standing = iota
	Holds
	Contradicted
)

func (s Standing) String() string { return [...]string{"not seen", "holds", "contradicted"}[s] }

// check says whether r holds for f, and what was seen where.
func (r *requirement) check(f *flows.Flow) (Standing, string, pcaps.FrameID) {
	if r.app {
		return r.checkApp(f)
	}
	s, saw, frame := Unseen, "", pcaps.FrameID(0)
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
			return Contradicted, value, pcaps.FrameID(fact.Frame())
		}
		s, saw, frame = Holds, value, pcaps.FrameID(fact.Frame())
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
func (r *requirement) checkApp(f *flows.Flow) (Standing, string, pcaps.FrameID) {
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
			return Holds, f.App, frame
		}
		// Decrypted with its keys, TLS shows what it carries.
		if r.Accepts("tls") && f.Facts.Has(dissect.TLSVersion) {
			return Holds, "tls", frame
		}
		return Contradicted, f.App, frame
	case f.Payload[0] == 0, incomplete(f), f.Dissect.Late, f.Dissect.Undecided:
		return Unseen, "", frame
	case f.Payload[0] < minUnrecognised && f.Payload[1] < minUnrecognised:
		return Unseen, "", frame
	}
	return Contradicted, "", frame
}

// minUnrecognised is how many bytes one end must have sent for them to be taken
// for another protocol than the one required.
const minUnrecognised = 4
