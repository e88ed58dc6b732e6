package dissect

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

// A TLS key log, the SSLKEYLOGFILE format of NSS (draft-ietf-tls-keylogfile):
// lines of
//
//	label SP client random in hex SP secret in hex
//
// with comments that begin with # and blank lines between them. CLIENT_RANDOM
// gives the master secret of a connection up to TLS 1.2, the labels that end
// in TRAFFIC_SECRET and a number the secrets that the record keys of TLS 1.3
// are derived from (RFC 8446 section 7.1). Lines with other labels are passed
// over. The same text stands in the decryption-secrets blocks of pcapng.

const (
	maxKeyLogLine        = 1 << 10 // bytes of a line; those that are used have at most 200
	maxKeyLogConnections = 1 << 18 // connections whose secrets are kept
	maxResumable         = 1 << 16 // sessions remembered that may be resumed
	leastKeyLogName      = 16      // hex digits that what a secret is of has at least: those of RSA's

	hexOfEitherCase = "0123456789abcdefABCDEF"
)

// secretKind says what a secret is for.
type secretKind uint8

const (
	masterSecret secretKind = iota // TLS 1.0 to 1.2
	clientEarlySecret
	clientHandshakeSecret
	serverHandshakeSecret
	clientTrafficSecret
	serverTrafficSecret
	secretKinds
)

const masterSecretLength = 48 // RFC 5246 section 8.1

// secretKindOf knows the labels that are used.
func secretKindOf(label []byte) (kind secretKind, ok bool) {
	switch string(label) {
	case "CLIENT_RANDOM":
		return masterSecret, true
	case "CLIENT_EARLY_TRAFFIC_SECRET":
		return clientEarlySecret, true
	case "CLIENT_HANDSHAKE_TRAFFIC_SECRET":
		return clientHandshakeSecret, true
	case "SERVER_HANDSHAKE_TRAFFIC_SECRET":
		return serverHandshakeSecret, true
	case "CLIENT_TRAFFIC_SECRET_0":
		return clientTrafficSecret, true
	case "SERVER_TRAFFIC_SECRET_0":
		return serverTrafficSecret, true
	}
	return 0, false
}

// tlsSecrets is what is known of one connection.
type tlsSecrets [secretKinds][]byte

// KeyLog is the secrets of TLS connections by the random of their ClientHello,
// and what came of using them. It is bounded, it is never printed, and it
// belongs to the goroutine of the parsers. The zero value is ready for use.
type KeyLog struct {
	connections map[[32]byte]*tlsSecrets
	resumable   map[[32]byte][]byte // master secrets up to TLS 1.2, by the SHA-256 of a session ID or a ticket
	stats       KeyLogStats
}

// KeyLogStats says how far keys went. It holds no secrets.
type KeyLogStats struct {
	Given       bool // a key log was given or found
	Connections int  // that there are secrets of
	Lines       int  // lines of the format, comments aside
	Malformed   int  // lines that are not
	Ignored     int  // lines passed over because there were too many connections
	Opened      int  // connections that were decrypted
	Failed      int  // connections that there were secrets of and that could not be decrypted
	Closed      int  // sealed connections that there were no secrets of
}

// Stats says what has been read and decrypted so far.
func (k *KeyLog) Stats() KeyLogStats {
	s := k.stats
	s.Connections = len(k.connections)
	return s
}

// What can be wrong with a line. None of it quotes the line.
var (
	errKeyLogFields = errors.New("not a label, a client random and a secret")
	errKeyLogLong   = errors.New("line too long")
	errKeyLogRandom = errors.New("client random is not 64 hex digits")
	errKeyLogSecret = errors.New("secret is not of a length in hex digits that the label has")
)

// Read adds the lines of r. bad is told the number of each malformed line and
// what is wrong with it, and never what is in it. The error is one of r.
func (k *KeyLog) Read(r io.Reader, bad func(line int, reason error)) error {
	k.stats.Given = true
	in := bufio.NewReaderSize(r, maxKeyLogLine)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		long := false
		for err == bufio.ErrBufferFull {
			long = true
			_, err = in.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return err
		}
		reason := errKeyLogLong
		if !long {
			reason = k.add(line)
		}
		if reason != nil {
			k.stats.Malformed++
			bad(number, reason)
		}
		if err == io.EOF {
			return nil
		}
	}
}

// add takes in one line.
func (k *KeyLog) add(line []byte) error {
	line = bytes.Trim(line, " \t\r\n\x00")
	if len(line) == 0 || line[0] == '#' {
		return nil
	}
	label, rest, ok := bytes.Cut(line, []byte(" "))
	name, value, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || !isKeyLogLabel(label) {
		return errKeyLogFields
	}
	kind, known := secretKindOf(label)
	if !known {
		// Whatever it is of, RSA's part of a message or a random, it is in hex:
		// other text, and a capture, has lines that begin like a label, too.
		if len(name) < leastKeyLogName || len(bytes.TrimLeft(name, hexOfEitherCase)) > 0 || len(value) == len(bytes.TrimLeft(value, hexOfEitherCase)) {
			return errKeyLogFields
		}
		k.stats.Lines++
		return nil
	}
	var random [32]byte
	if n, err := hex.Decode(random[:], name[:min(len(name), 2*len(random))]); err != nil || n != len(random) || len(name) != 2*n {
		return errKeyLogRandom
	}
	// What is behind the digits is nothing of the secret: some lines were pasted
	// with the backslash that carried a command on.
	value = value[:len(value)-len(bytes.TrimLeft(value, hexOfEitherCase))]
	secret := make([]byte, len(value)/2)
	if _, err := hex.Decode(secret, value); err != nil {
		return errKeyLogSecret
	}
	switch len(secret) {
	case masterSecretLength: // as long as a traffic secret of SHA-384
	case 32:
		if kind == masterSecret {
			return errKeyLogSecret
		}
	default:
		return errKeyLogSecret
	}
	k.stats.Lines++
	s := k.connections[random]
	if s == nil {
		if len(k.connections) >= maxKeyLogConnections {
			k.stats.Ignored++
			return nil
		}
		if k.connections == nil {
			k.connections = make(map[[32]byte]*tlsSecrets)
		}
		s = new(tlsSecrets)
		k.connections[random] = s
	}
	s[kind] = secret
	return nil
}

// remember keeps the master secret of a session that has a name: an ID or a
// ticket.
func (k *KeyLog) remember(name, master []byte) {
	if len(name) == 0 || master == nil {
		return
	}
	if k.resumable == nil || len(k.resumable) >= maxResumable {
		k.resumable = make(map[[32]byte][]byte)
	}
	k.resumable[sha256.Sum256(name)] = master
}

// remembered is the master secret of a session, or nil.
func (k *KeyLog) remembered(name []byte) []byte {
	if len(name) == 0 || k.resumable == nil {
		return nil
	}
	return k.resumable[sha256.Sum256(name)]
}

// isKeyLogLabel says whether b looks like a label: "RSA", "CLIENT_RANDOM",
// "QUIC_SERVER_TRAFFIC_SECRET_0".
func isKeyLogLabel(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(b) > 0
}
