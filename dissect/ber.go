package dissect

// The encoding of LDAP (RFC 4511 section 5.1), SNMP (RFC 3417 section 8) and
// Kerberos (RFC 4120 section 5.1): ITU-T X.690, of which no more is read here
// than
//
//	tag (1)  length: 00-7f, or 81-84 and as many bytes  content

const (
	berInteger  = 0x02
	berOctets   = 0x04
	berSequence = 0x30
)

// berHeader reads a tag and a length.
func (r *reader) berHeader(field string) (tag, length int) {
	tag = r.u8(field)
	length = r.u8(field)
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 4 {
			r.malformed(field, "a length of a form that is not used here")
			return 0, 0
		}
		length = 0
		for range n {
			length = length<<8 | r.u8(field)
		}
	}
	if r.err() != nil {
		return 0, 0
	}
	return tag, length
}

// ber reads an element and returns its tag and a reader of its content.
func (r *reader) ber(field string) (int, reader) {
	tag, length := r.berHeader(field)
	return tag, r.within(field, length)
}

// berOf reads the element that must have tag.
func (r *reader) berOf(field string, tag int) reader {
	got, content := r.ber(field)
	if got != tag {
		r.malformed(field, "another element is here")
	}
	return content
}

// berInt reads an INTEGER of at most eight bytes.
func (r *reader) berInt(field string) int64 {
	content := r.berOf(field, berInteger)
	n := content.left()
	if n < 1 || n > 8 {
		r.malformed(field, "not an integer of one to eight bytes")
		return 0
	}
	v := int64(int8(content.u8(field)))
	for range n - 1 {
		v = v<<8 | int64(content.u8(field))
	}
	return v
}
