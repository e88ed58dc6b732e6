package dissect

import (
	"bytes"
	"testing"
)

// TestCamellia holds the examples of RFC 3713, appendix A.
func TestCamellia(t *testing.T) {
	plain := unhex("0123456789abcdeffedcba9876543210")
	for _, c := range []struct{ key, sealed string }{
		{"0123456789abcdeffedcba9876543210", "67673138549669730857065648eabe43"},
		{"0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff", "9acc237dff16d76c20ef7c919e3a7509"},
	} {
		block := newCamellia(unhex(c.key))
		got := make([]byte, camelliaBlock)
		if block.Encrypt(got, plain); !bytes.Equal(got, unhex(c.sealed)) {
			t.Errorf("key of %d bytes: sealed to %x, want %s", len(c.key)/2, got, c.sealed)
		}
		if block.Decrypt(got, unhex(c.sealed)); !bytes.Equal(got, plain) {
			t.Errorf("key of %d bytes: opened to %x", len(c.key)/2, got)
		}
	}
}
