package dissect

import "bytes"

// TFTP, RFC 1350 section 5. What asks for a file, or offers one, is
//
//	00 01 or 00 02  file name  00  mode  00  options (RFC 2347)
//
// and goes to port 69; the data follow between other ports, and are not
// recognised there.

var tftp = Dissector{
	Name:  "tftp",
	Over:  UDP,
	Ports: []uint16{69},
	Probe: probeTFTP,
	New:   newNamed,
}

func probeTFTP(_ Dir, b []byte) Match {
	if len(b) > 0 && b[0] != 0 || len(b) > 1 && b[1] != 1 && b[1] != 2 {
		return No
	}
	if len(b) < 3 {
		return Maybe
	}
	name, rest, complete := bytes.Cut(b[2:], []byte{0})
	for _, c := range name {
		if c < ' ' {
			return No
		}
	}
	if !complete {
		return Maybe
	}
	if len(name) == 0 {
		return No
	}
	answer := No
	for _, mode := range [...]string{"netascii\x00", "octet\x00", "mail\x00"} {
		n := min(len(rest), len(mode))
		if bytes.EqualFold(rest[:n], []byte(mode[:n])) {
			if n == len(mode) {
				return FromClient
			}
			answer = Maybe
		}
	}
	return answer
}
