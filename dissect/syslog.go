package dissect

// Syslog over UDP (RFC 5426) and TCP (RFC 6587): messages of RFC 5424 or in the
// older form that RFC 3164 describes,
//
//	<priority>1 timestamp ...     <priority>Mmm dd hh:mm:ss ...
//
// the priority being at most 191. Devices write much else behind it. Over TCP the
// length in digits and a blank may come before it.

var syslog = Dissector{
	Name:  "syslog",
	Over:  TCP | UDP,
	Ports: []uint16{514, 601},
	Probe: probeSyslog,
	New:   newNamed,
}

func probeSyslog(_ Dir, b []byte) Match {
	const highest, longest = 191, 5 // the priority, and digits of a length
	n := 0
	for n < min(len(b), longest) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	if n > 0 && (b[0] == '0' || n < len(b) && b[n] != ' ') {
		return No
	}
	if n > 0 {
		b = b[min(n+1, len(b)):]
	}
	if len(b) == 0 {
		return Maybe
	}
	if b[0] != '<' {
		return No
	}
	priority, at := 0, 1
	for ; at < len(b) && b[at] >= '0' && b[at] <= '9'; at++ {
		if priority = priority*10 + int(b[at]-'0'); priority > highest {
			return No
		}
	}
	if at == len(b) {
		return Maybe
	}
	if b[at] != '>' || at == 1 {
		return No
	}
	rest := b[at+1:]
	for i, c := range rest[:min(len(rest), 64)] {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && (c != 0 || i == 0) {
			return No
		}
	}
	switch m := begins(rest, "1 "); m {
	case Yes:
		return FromClient
	case Maybe:
		return Maybe
	}
	const shape = "Mmm dd hh:mm:ss"
	for i := range min(len(rest), len(shape)) {
		c := rest[i]
		var fits bool
		switch shape[i] {
		case 'M', 'm':
			fits = c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		case 'd', 'h', 's':
			fits = c >= '0' && c <= '9' || c == ' '
		default:
			fits = c == shape[i]
		}
		if !fits {
			return Weak
		}
	}
	if len(rest) < len(shape) {
		return Maybe
	}
	return FromClient
}
