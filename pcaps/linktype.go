package pcaps

import "strconv"

// LinkType says what a frame begins with. The values are those of
// https://www.tcpdump.org/linktypes.html.
type LinkType uint16

// The link types that flows decodes, and a few that are only named.
const (
	LinkNull       LinkType = 0   // BSD loopback: address family in the capturing host's byte order
	LinkEthernet   LinkType = 1   //
	LinkTokenRing  LinkType = 6   //
	LinkPPP        LinkType = 9   //
	LinkFDDI       LinkType = 10  //
	LinkRawBSD12   LinkType = 12  // raw IP, as DLT_RAW is numbered on most systems
	LinkRawBSD14   LinkType = 14  // raw IP, as DLT_RAW is numbered on OpenBSD
	LinkPPPHDLC    LinkType = 50  // PPP in HDLC-like framing
	LinkPPPoE      LinkType = 51  //
	LinkRaw        LinkType = 101 // raw IP, version by its first nibble
	LinkCHDLC      LinkType = 104 // Cisco HDLC
	LinkIEEE80211  LinkType = 105 // 802.11 without radio header
	LinkFrameRelay LinkType = 107 //
	LinkLoop       LinkType = 108 // OpenBSD loopback: address family in network byte order
	LinkLinuxSLL   LinkType = 113 // Linux cooked, version 1
	LinkPrism      LinkType = 119 // 802.11 behind a Prism header
	LinkRadiotap   LinkType = 127 // 802.11 behind a radiotap header
	LinkPPI        LinkType = 192 // per-packet information, then the link type it names
	LinkIPNET      LinkType = 226 // Solaris: 24 bytes about the frame, then IP
	LinkIPv4       LinkType = 228 //
	LinkIPv6       LinkType = 229 //
	LinkNFLOG      LinkType = 239 // Linux netfilter log
	LinkIPoIB      LinkType = 242 // IP over InfiniBand
	LinkPKTAP      LinkType = 258 // Apple's tap on all interfaces, then the link type it names
	LinkLinuxSLL2  LinkType = 276 // Linux cooked, version 2: what tcpdump writes for -i any

	LinkUnknown LinkType = 65535 // of a format with other numbers, one that has none here
)

var linkNames = map[LinkType]string{
	LinkNull: "NULL", LinkEthernet: "EN10MB", LinkPPP: "PPP", LinkRawBSD12: "RAW", LinkRawBSD14: "RAW",
	LinkPPPHDLC: "PPP_HDLC", LinkPPPoE: "PPP_ETHER", LinkRaw: "RAW", LinkCHDLC: "C_HDLC",
	LinkIEEE80211: "IEEE802_11", LinkFrameRelay: "FRELAY", LinkLoop: "LOOP", LinkLinuxSLL: "LINUX_SLL",
	LinkPrism: "PRISM", LinkRadiotap: "IEEE802_11_RADIO", LinkPPI: "PPI", LinkIPNET: "IPNET", LinkIPv4: "IPV4",
	LinkIPv6: "IPV6", LinkNFLOG: "NFLOG", LinkIPoIB: "IPOIB", LinkPKTAP: "PKTAP", LinkLinuxSLL2: "LINUX_SLL2", LinkTokenRing: "IEEE802",
	LinkFDDI: "FDDI", LinkUnknown: "unknown",
}

// String is the name that tcpdump uses, or the number.
func (t LinkType) String() string {
	if s, ok := linkNames[t]; ok {
		return s
	}
	return strconv.Itoa(int(t))
}
