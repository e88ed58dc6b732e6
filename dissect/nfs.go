package dissect

import "strconv"

// NFS, program 100003 of ONC RPC: versions 2 (RFC 1094), 3 (RFC 1813) and 4
// (RFC 7530, RFC 8881, RFC 7862). What is told of it is in the head of a call;
// only version 4 begins its arguments with more of it:
//
//	tag: length, text   minor version
//
// Under RPCSEC_GSS (RFC 2203 section 5.3.2) arguments may be sealed, or behind
//
//	length  sequence number
//
// where their integrity is protected.
//
// MOUNT, program 100005, opens an export of versions 2 and 3 (RFC 1813 appendix
// I): its MNT takes a path, and answers with a status and a file handle.

const (
	rpcNFS   = 100003
	rpcMount = 100005

	mountMNT      = 1
	maxMountPath  = 1024
	maxNFSTag     = 1024
	gssIntegrity  = 2
	gssPrivacy    = 3
	gssServiceOne = 1 // authentication alone
)

// nfsFlavor takes in the credential of a call.
func (p *rpcParser) nfsFlavor(version, procedure, flavor uint32, facts *Facts) {
	if procedure == 0 {
		p.null = version // does nothing, and needs no credential
		return
	}
	auth := "other"
	switch flavor {
	case 0:
		auth = "none"
	case 1:
		auth = "sys"
	case 2:
		auth = "short" // a token that the server gave for a sys credential
	case 3:
		auth = "dh"
	case authGSS:
		auth = "gss"
	}
	facts.Add(NFSAuth, []byte(auth))
	if version != 4 {
		facts.AddText(NFSVersion, nfsVersion(version, 0))
	}
}

// nfsVersion names a version without making a new text of those that there are.
func nfsVersion(version, minor uint32) string {
	switch {
	case version == 3:
		return "3"
	case version == 2:
		return "2"
	case version == 4 && minor == 1:
		return "4.1"
	case version == 4 && minor == 2:
		return "4.2"
	}
	return strconv.Itoa(int(version)) // 4.0 goes by 4
}

// nfsCall reads on behind the verifier.
func (p *rpcParser) nfsCall(r *reader, version, procedure uint32, from rpcCredential, facts *Facts) {
	if procedure == 0 {
		return
	}
	switch from.service {
	case gssServiceOne:
		facts.AddText(NFSGSSService, "authentication")
	case gssIntegrity:
		facts.AddText(NFSGSSService, "integrity")
		r.be32("length")
		r.be32("sequence number")
	case gssPrivacy:
		facts.AddText(NFSGSSService, "privacy")
	}
	if version != 4 {
		return
	}
	minor := uint32(0)
	if from.flavor != authGSS || from.service == gssServiceOne || from.service == gssIntegrity {
		rpcOpaque(r, "tag", maxNFSTag)
		minor = r.be32("minor version") // 0 where it is cut
	}
	facts.AddText(NFSVersion, nfsVersion(4, minor))
}

// mountCall reads a call of MOUNT behind the verifier.
func (p *rpcParser) mountCall(r *reader, xid, version, procedure uint32, facts *Facts) {
	if procedure != mountMNT {
		return
	}
	path := rpcOpaque(r, "path", maxMountPath)
	if r.err() != nil {
		return
	}
	facts.AddText(NFSExport, printable(path))
	p.expect(rpcCall{kind: mount, xid: xid, version: version})
}

// mounted reads the results of MNT.
func (p *rpcParser) mounted(r *reader, facts *Facts) {
	if status := r.be32("mount status"); r.err() == nil && status != 0 {
		facts.SetText(NFSMountStatus, mountStatus(status))
	}
}

// mountStatus names the status of MNT (RFC 1813 section 5.1.5).
func mountStatus(code uint32) string {
	switch code {
	case 1:
		return "perm"
	case 2:
		return "noent"
	case 5:
		return "io"
	case 13:
		return "access"
	case 20:
		return "notdir"
	case 22:
		return "inval"
	case 63:
		return "nametoolong"
	case 10004:
		return "notsupp"
	case 10006:
		return "serverfault"
	}
	return strconv.Itoa(int(code))
}
