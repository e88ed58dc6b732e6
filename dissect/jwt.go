package dissect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// A JSON Web Token in its compact form, RFC 7519 and RFC 7515 section 7.1:
//
//	base64url(header) . base64url(claims) . base64url(signature)
//
// The header is a JSON object with a member alg; beginning with {" it always
// encodes to eyJ. An unsigned token (alg none) ends with the second dot. Only
// alg is read; nothing of the token is kept.

const maxJWTHeader = 2 << 10 // bytes of an encoded header

// findJWT looks for a token in text and returns its alg.
func findJWT(text []byte) (alg string, ok bool) {
	for {
		at := bytes.Index(text, []byte("eyJ"))
		if at < 0 {
			return "", false
		}
		inside := at > 0 && isBase64URL(text[at-1])
		text = text[at:]
		if alg, ok = jwtAlg(text); ok && !inside {
			return alg, true
		}
		text = text[len("eyJ"):]
	}
}

// jwtAlg reads the alg of the token that b begins with.
func jwtAlg(b []byte) (string, bool) {
	header, rest := cutBase64URL(b)
	if len(header) > maxJWTHeader || len(rest) == 0 || rest[0] != '.' {
		return "", false
	}
	claims, rest := cutBase64URL(rest[1:])
	if len(claims) == 0 || len(rest) == 0 || rest[0] != '.' {
		return "", false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(string(header))
	if err != nil {
		return "", false
	}
	var fields struct {
		Alg string `json:"alg"`
	}
	if json.Unmarshal(decoded, &fields) != nil || fields.Alg == "" {
		return "", false
	}
	// The names of RFC 7518 section 3.1 and its successors are short.
	if len(fields.Alg) > 16 {
		return "other", true
	}
	for i := range len(fields.Alg) {
		if c := fields.Alg[i]; !isBase64URL(c) && c != '+' && c != '.' {
			return "other", true
		}
	}
	return fields.Alg, true
}

// cutBase64URL splits b behind its base64url characters.
func cutBase64URL(b []byte) (part, rest []byte) {
	n := 0
	for n < len(b) && isBase64URL(b[n]) {
		n++
	}
	return b[:n], b[n:]
}

func isBase64URL(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '_'
}
