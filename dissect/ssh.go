package dissect

import "bytes"

// SSH, RFC 4253 section 4.2: before anything else each side sends
//
//	SSH-protoversion-softwareversion SP comments CR LF
//
// at most 255 bytes long. The server may send other lines before it. What
// follows is binary and, past the key exchange, encrypted: only the two
// identification strings are read.

const (
	maxSSHBanner   = 255
	maxSSHPreamble = 1024 // bytes of lines before the server's identification
)

var ssh = Dissector{
	Name:  "ssh",
	Over:  TCP,
	Ports: []uint16{22},
	Probe: probeSSH,
	New:   func(*Context) Parser { return &sshParser{} },
}

func probeSSH(dir Dir, b []byte) Match {
	banner := findSSHBanner(dir, b)
	if banner < 0 {
		return No
	}
	b = b[banner:]
	for _, prefix := range [...]string{"SSH-2.0-", "SSH-1."} {
		if bytes.HasPrefix(b, []byte(prefix)) {
			return Yes
		}
		if len(b) < len(prefix) && prefix[:len(b)] == string(b) {
			return Maybe
		}
	}
	if bytes.HasPrefix(b, []byte("SSH-")) {
		return No
	}
	return Maybe // a line before the banner that is not complete
}

// findSSHBanner returns where the identification begins in b, or where the
// line begins that may yet become it; -1 when b cannot lead to one.
func findSSHBanner(dir Dir, b []byte) int {
	at := 0
	for {
		line := b[at:]
		n := min(len(line), len("SSH-"))
		if "SSH-"[:n] == string(line[:n]) {
			return at
		}
		if dir == ToServer {
			return -1
		}
		end := bytes.IndexByte(line, '\n')
		text := line
		if end >= 0 {
			text = line[:end]
		}
		for _, c := range text {
			if c < ' ' && c != '\t' && c != '\r' || c == 0x7f {
				return -1
			}
		}
		if at+len(text) > maxSSHPreamble {
			return -1
		}
		if end < 0 {
			return at
		}
		at += end + 1
	}
}

type sshParser struct {
	seen [2]bool
}

func (p *sshParser) renew() {
	*p = sshParser{}
}

func (p *sshParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	if p.seen[dir] {
		return len(b), nil
	}
	at := findSSHBanner(dir, b)
	if at < 0 {
		return 0, &Malformed{"identification", 0, "does not begin with SSH-"}
	}
	line := b[at:]
	end := bytes.IndexByte(line, '\n')
	if end < 0 && len(line) < maxSSHBanner {
		return at, ErrShort
	}
	if end < 0 || end > maxSSHBanner {
		return 0, &Malformed{"identification", at, "longer than 255 bytes"}
	}
	if end < len("SSH-") || string(line[:4]) != "SSH-" {
		return 0, &Malformed{"identification", at, "does not begin with SSH-"}
	}
	key := SSHClientBanner
	if dir == ToClient {
		key = SSHServerBanner
	}
	facts.SetText(key, printable(bytes.TrimRight(line[:end], "\r")))
	p.seen[dir] = true
	if facts.traced() {
		facts.open(dir, 0, at+end+1)
	}
	if p.seen[dir.Other()] {
		return at + end + 1, ErrDone
	}
	return at + end + 1, nil
}

func (p *sshParser) Gap(Dir, []byte, uint64, *Facts) (uint64, bool) { return 0, false }

func (p *sshParser) Close(*Facts) {}
