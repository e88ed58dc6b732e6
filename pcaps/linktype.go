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

	// Named, so that a report says what somebody captured; no more than that.
	3: "AX25", 8: "SLIP", 99: "SYMANTEC_FIREWALL", 100: "ATM_RFC1483", 106: "ATM_CLIP", 109: "ENC", 114: "LTALK", 117: "PFLOG",
	122: "IP_OVER_FC", 123: "SUNATM", 128: "TZSP", 129: "ARCNET_LINUX", 130: "JUNIPER_MLPPP", 131: "JUNIPER_MLFR", 132: "JUNIPER_ES",
	133: "JUNIPER_GGSN", 134: "JUNIPER_MFR", 135: "JUNIPER_ATM2", 136: "JUNIPER_SERVICES", 137: "JUNIPER_ATM1",
	138: "APPLE_IP_OVER_IEEE1394", 139: "MTP2_WITH_PHDR", 140: "MTP2", 141: "MTP3", 142: "SCCP", 143: "DOCSIS", 144: "LINUX_IRDA",
	163: "IEEE802_11_RADIO_AVS", 164: "JUNIPER_MONITOR", 165: "BACNET_MS_TP", 166: "PPP_PPPD", 167: "JUNIPER_PPPOE", 169: "GPRS_LLC",
	177: "LINUX_LAPD", 178: "JUNIPER_ETHER", 179: "JUNIPER_PPP", 180: "JUNIPER_FRELAY", 181: "JUNIPER_CHDLC", 182: "MFR", 183: "JUNIPER_VP",
	187: "BLUETOOTH_HCI_H4", 189: "USB_LINUX", 190: "CAN20B", 191: "IEEE802_15_4_LINUX", 195: "IEEE802_15_4", 197: "ERF",
	201: "BLUETOOTH_HCI_H4_WITH_PHDR", 203: "LAPD", 204: "PPP_WITH_DIR", 205: "C_HDLC_WITH_DIR", 206: "FRELAY_WITH_DIR",
	215: "IEEE802_15_4_NONASK_PHY", 220: "USB_LINUX_MMAPPED", 224: "FC_2", 225: "FC_2_WITH_FRAME_DELIMS", 227: "CAN_SOCKETCAN",
	230: "IEEE802_15_4_NOFCS", 231: "DBUS", 243: "MPEG_2_TS", 247: "INFINIBAND", 248: "SCTP", 249: "USBPCAP", 251: "BLUETOOTH_LE_LL",
	252: "WIRESHARK_UPPER_PDU", 253: "NETLINK", 254: "BLUETOOTH_LINUX_MONITOR", 255: "BLUETOOTH_BREDR_BB", 256: "BLUETOOTH_LE_LL_WITH_PHDR",
	257: "PROFIBUS_DL", 265: "RDS", 266: "USB_DARWIN", 271: "VSOCK", 272: "NORDIC_BLE", 281: "DSA_TAG_BRCM", 282: "DSA_TAG_BRCM_PREPEND",
	283: "IEEE802_15_4_TAP", 284: "DSA_TAG_DSA", 285: "DSA_TAG_EDSA",
}

// String is the name that tcpdump uses, or the number.
func (t LinkType) String() string {
	if s, ok := linkNames[t]; ok {
		return s
	}
	return strconv.Itoa(int(t))
}
