package dissect

import "fmt"

// SMB2 and 3. A message is a header of 64 bytes (MS-SMB2 section 2.2.1) and
// what its command says:
//
//	FE S M B  size (2)  credit charge (2)  status (4)  command (2)  credits (2)  flags (4)
//	next command (4)  message id (8)  ...  session id (8)  signature (16)
//
// NEGOTIATE (sections 2.2.3, 2.2.4), and what 3.1.1 appends to it, each aligned
// to 8 bytes:
//
//	request:  36 (2)  dialects: count (2)  security mode (2)  -- (2)  capabilities (4)  client (16)
//	          contexts: offset (4), count (2)  -- (2)  dialects (2 each) ...  contexts
//	response: 65 (2)  security mode (2)  dialect (2)  contexts: count (2)  server (16)  capabilities (4)
//	          largest transact, read, write (4 each)  time (8)  start (8)
//	          security buffer: offset (2), length (2)  contexts: offset (4) ...
//	context:  type (2)  length (2)  -- (4)  data
//
// SESSION_SETUP (sections 2.2.5, 2.2.6) and TREE_CONNECT (section 2.2.9):
//
//	request:  25 (2)  flags (1)  security mode (1)  capabilities (4)  channel (4)
//	          security buffer: offset (2), length (2)  previous session (8) ...
//	response: 9 (2)  session flags (2)  security buffer: offset (2), length (2) ...
//	request:  9 (2)  flags (2)  path: offset (2), length (2) ...

const (
	smb2HeaderSize = 64

	smb2Negotiate    = 0
	smb2SessionSetup = 1
	smb2Logoff       = 2
	smb2TreeConnect  = 3
	smb2Cancel       = 12
	smb2Echo         = 13

	smb2Response = 1 // flags
	smb2Async    = 2
	smb2Signed   = 8

	smb2SigningRequired = 2    // security mode
	smb2CanEncrypt      = 0x40 // capabilities

	maxSMBContexts = 16 // contexts of a negotiation that are read
	maxSMBChoices  = 16 // numbers of one list of the negotiation that are read

	statusPending = 0x00000103 // an interim answer
	statusMore    = 0xc0000016 // MORE_PROCESSING_REQUIRED: session setup goes on
)

// smb2Header is what is read of a message's header: its first 24 bytes.
type smb2Header struct {
	status  uint32
	command int
	flags   uint32
	next    uint32
}

func (h *smb2Header) read(b []byte) error {
	r := newReader(b)
	r.bytes("protocol", 4)
	r.le16("structure size")
	r.le16("credit charge")
	h.status = r.le32("status")
	h.command = r.le16("command")
	r.le16("credits")
	h.flags = r.le32("flags")
	h.next = r.le32("next command")
	return r.err()
}

// parse2 reads an SMB2 message of size bytes that b begins with.
func (p *smbParser) parse2(b []byte, size int, facts *Facts) error {
	if size < smb2HeaderSize {
		return &Malformed{"SMB2 header", 4, "shorter than 64 bytes"}
	}
	var h smb2Header
	if err := h.read(b); err != nil {
		return err
	}
	switch h.command {
	case smb2Negotiate, smb2SessionSetup, smb2TreeConnect:
		message, short := waitSMB(b, size)
		if short {
			return ErrShort
		}
		b = message
	}
	p.read2(&h, b, facts)
	return nil
}

// read2 reads a message behind its header, as far as it is there.
func (p *smbParser) read2(h *smb2Header, b []byte, facts *Facts) {
	response := h.flags&smb2Response != 0
	if facts.traced() {
		traceSMB2(h, facts)
	}
	if h.next >= smb2HeaderSize && uint64(h.next) <= uint64(len(b)) {
		b = b[:h.next] // others follow in the same message, for the same session
	}

	switch h.command {
	case smb2Negotiate:
		switch {
		case !response:
			p.negotiate2(b, facts)
		case h.status == 0:
			p.negotiated2(b, facts)
		}
		return
	case smb2SessionSetup:
		if response {
			p.setup2(b, h.status, facts)
		} else {
			p.sessionSetup2(b, facts)
		}
		return
	case smb2TreeConnect:
		switch {
		case !response:
			p.treeConnect2(b, facts)
		case h.status != 0 && h.status != statusPending && p.setup:
			facts.SetText(SMBTreeStatus, smbStatus(h.status))
		}
	}

	if response && !p.setup {
		return // an answer within a session that failed, or that began before the capture
	}
	p.after++
	if response || h.command == smb2Cancel || h.command == smb2Echo || h.command == smb2Logoff {
		return // answers may be unsigned where requests are not: interim ones are
	}
	p.request(h.flags&smb2Signed != 0, facts)
}

func (p *smbParser) negotiate2(b []byte, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb2HeaderSize)
	r.le16("structure size")
	count := r.le16("dialect count")
	mode := r.le16("security mode")
	r.le16("reserved")
	capabilities := r.le32("capabilities")
	r.bytes("client", 16)
	offset := r.le32("context offset")
	contexts := r.le16("context count")
	r.le16("reserved")
	if r.err() != nil {
		return
	}
	p.client = capabilities
	if mode&smb2SigningRequired != 0 {
		p.signingRequired(ToServer, facts)
	}
	latest := 0
	for range min(count, maxSMBChoices) {
		dialect := r.le16("dialect")
		if r.err() != nil {
			return
		}
		facts.AddText(SMBDialects, smb2Dialect(dialect))
		latest = max(latest, dialect)
	}
	if latest == 0x0311 {
		readContexts(b, offset, contexts, true, facts)
	}
}

func (p *smbParser) negotiated2(b []byte, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb2HeaderSize)
	r.le16("structure size")
	mode := r.le16("security mode")
	dialect := r.le16("dialect")
	contexts := r.le16("context count")
	if r.err() != nil {
		return
	}
	facts.SetText(SMBDialect, smb2Dialect(dialect))
	if mode&smb2SigningRequired != 0 {
		p.signingRequired(ToClient, facts)
	}
	r.bytes("server", 16)
	capabilities := r.le32("capabilities")
	r.bytes("sizes, times, security buffer", 3*4+2*8+2*2)
	offset := r.le32("context offset")
	if r.err() != nil {
		return
	}
	switch dialect {
	case 0x0300, 0x0302:
		// These know one cipher, which each end says to be capable of (MS-SMB2
		// section 2.2.4).
		if capabilities&p.client&smb2CanEncrypt != 0 {
			facts.SetText(SMBCipher, smbCipher(1))
		}
	case 0x0311:
		readContexts(b, offset, contexts, false, facts)
	}
}

func smb2Dialect(code int) string {
	switch code {
	case 0x0202:
		return "2.0.2"
	case 0x0210:
		return "2.1"
	case 0x0300:
		return "3.0"
	case 0x0302:
		return "3.0.2"
	case 0x0311:
		return "3.1.1"
	case 0x02ff:
		return "2.???" // to SMB1's NEGOTIATE: SMB2 it is, which one a second NEGOTIATE settles
	}
	return fmt.Sprintf("0x%04x", code)
}

// The contexts of a negotiation of 3.1.1 (MS-SMB2 section 2.2.3.1).
const (
	contextEncryption  = 2
	contextCompression = 3
	contextNetname     = 5
	contextSigning     = 8
)

// readContexts reads what 3.1.1 appends to a negotiation: what the client
// offers or what the server chose.
func readContexts(b []byte, offset uint32, count int, offer bool, facts *Facts) {
	for range min(count, maxSMBContexts) {
		if uint64(offset) >= uint64(len(b)) {
			return
		}
		r := newReader(b[offset:])
		kind := r.le16("context type")
		size := r.le16("context length")
		r.le32("reserved")
		data := r.within("context", size)
		if r.err() != nil {
			return
		}
		switch {
		case kind == contextEncryption && offer:
			eachChoice(&data, 0, func(code int) { facts.AddText(SMBCiphers, smbCipher(code)) })
		case kind == contextEncryption:
			eachChoice(&data, 0, func(code int) {
				if code != 0 { // none that both know
					facts.SetText(SMBCipher, smbCipher(code))
				}
			})
		case kind == contextCompression && !offer:
			eachChoice(&data, 6, func(code int) {
				if code != 0 {
					facts.AddText(SMBCompression, smbCompression(code))
				}
			})
		case kind == contextSigning && !offer:
			eachChoice(&data, 0, func(code int) { facts.SetText(SMBSigningAlgorithm, smbSigning(code)) })
		case kind == contextNetname && offer:
			if name := utf16Text(data.rest()); name != "" {
				facts.SetText(SMBServerName, name)
			}
		}
		next := uint64(offset) + 8 + uint64(size+7)&^7
		if next > uint64(len(b)) {
			return
		}
		offset = uint32(next)
	}
}

// eachChoice reads a count, passes over the bytes between, and reads so many
// numbers.
func eachChoice(r *reader, between int, take func(code int)) {
	count := r.le16("count")
	r.bytes("flags", between)
	for range min(count, maxSMBChoices) {
		code := r.le16("algorithm")
		if r.err() != nil {
			return
		}
		take(code)
	}
}

func smbCipher(code int) string {
	switch code {
	case 1:
		return "aes-128-ccm"
	case 2:
		return "aes-128-gcm"
	case 3:
		return "aes-256-ccm"
	case 4:
		return "aes-256-gcm"
	}
	return fmt.Sprintf("0x%04x", code)
}

func smbSigning(code int) string {
	switch code {
	case 0:
		return "hmac-sha256"
	case 1:
		return "aes-cmac"
	case 2:
		return "aes-gmac"
	}
	return fmt.Sprintf("0x%04x", code)
}

func smbCompression(code int) string {
	switch code {
	case 1:
		return "lznt1"
	case 2:
		return "lz77"
	case 3:
		return "lz77-huffman"
	case 4:
		return "pattern"
	case 5:
		return "lz4"
	}
	return fmt.Sprintf("0x%04x", code)
}

// sessionSetup2 reads the request.
func (p *smbParser) sessionSetup2(b []byte, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb2HeaderSize)
	r.bytes("size, flags, security mode, capabilities, channel", 2+1+1+4+4)
	offset := r.le16("security buffer offset")
	length := r.le16("security buffer length")
	if r.err() != nil || offset > len(b) {
		return
	}
	p.authenticate(b[offset:min(len(b), offset+length)], facts)
}

// setup2 reads the response.
func (p *smbParser) setup2(b []byte, status uint32, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb2HeaderSize)
	r.le16("structure size")
	flags := r.le16("session flags")
	if status == statusMore {
		return
	}
	if status == 0 {
		if r.err() != nil {
			p.setup = true // cut: as whom is not known
			return
		}
		p.guest = flags&1 != 0
		p.anonymous = p.anonymous || flags&2 != 0
	}
	p.concluded(status, facts)
}

// treeConnect2 reads the request. Its offset counts from the header.
func (p *smbParser) treeConnect2(b []byte, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb2HeaderSize)
	r.bytes("size, flags", 2+2)
	offset := r.le16("path offset")
	length := r.le16("path length")
	if r.err() == nil && offset+length <= len(b) {
		p.tree(utf16Text(b[offset:offset+length]), facts)
	}
}
