package report

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// The schemas that JSON results name. Inside v1, members are only added.
const (
	FlowSchema  = "wirechart/flow/v1"
	FlowsSchema = "wirechart/flows/v1"
	AuditSchema = "wirechart/audit/v1"
	HostsSchema = "wirechart/hosts/v1"
)

// recorder writes flow records as JSON. It appends by hand rather than through
// encoding/json: a capture may hold millions of flows, and facts are a list of
// keys and values rather than a struct. A member that is not known is absent;
// a zero that was counted is known.
type recorder struct {
	o     *Options
	buf   []byte
	facts []dissect.Fact // of the flow at hand, in the order of the record
	names []factName

	second int64  // the second that stamp is of
	stamp  []byte // "2026-11-23T13:05:09"
}

// factName is a fact's dotted name taken apart: "tls.sni" is member "sni" of
// the object "tls".
type factName struct{ object, member string }

func newRecorder(o *Options) *recorder {
	r := &recorder{o: o, second: -1 << 63}
	for _, k := range dissect.Keys() {
		object, member, _ := strings.Cut(k.Name, ".")
		r.names = append(r.names, factName{object, member})
	}
	return r
}

// record returns the JSON object of f, without a line end. It is valid until
// the next call.
func (r *recorder) record(f *flows.Flow, v *rules.Verdict) []byte {
	b := append(r.buf[:0], `{"schema":"`+FlowSchema+`"`...)
	if name := r.o.file(f.Frame); name != "" {
		b = appendString(append(b, `,"file":`...), name)
	}
	b = strconv.AppendUint(append(b, `,"frame":`...), f.Frame.Number(), 10)
	b = strconv.AppendUint(append(b, `,"id":`...), f.ID, 10)
	if id := f.CommunityID(); id != "" {
		b = appendWord(append(b, `,"community_id":`...), id)
	}
	b = append(r.time(append(b, `,"start":"`...), f.Start), '"')
	b = append(r.time(append(b, `,"end":"`...), f.End), '"')
	b = appendDecimal(append(b, `,"duration":`...), f.End-f.Start, 9)
	b = appendWord(append(b, `,"proto":`...), flows.ProtoName(f.Proto))
	b = r.end(append(b, `,"client":`...), f, f.Client, f.ClientMAC)
	b = r.end(append(b, `,"server":`...), f, f.Server, f.ServerMAC)
	b = appendWord(append(b, `,"orientation":`...), f.Oriented.String())

	b = appendPair(append(b, `,"packets":`...), f.Packets)
	b = appendPair(append(b, `,"bytes":`...), f.Bytes)
	b = appendPair(append(b, `,"payload_bytes":`...), f.Payload)
	if f.Proto == flows.ProtoTCP {
		b = appendPair(append(b, `,"missed_bytes":`...), f.Missed)
		b = appendPair(append(b, `,"retransmitted":`...), f.Retransmitted)
		b = appendPair(append(b, `,"out_of_order":`...), f.OutOfOrder)
	}
	b = appendPair(append(b, `,"duplicates":`...), f.Duplicate)
	if len(f.VLANs) > 0 {
		b = append(b, `,"vlan":[`...)
		for i, tag := range f.VLANs {
			b = strconv.AppendUint(comma(b, i), uint64(tag), 10)
		}
		b = append(b, ']')
	}
	if len(f.Tunnel) > 0 {
		b = appendStrings(append(b, `,"tunnel":`...), f.Tunnel)
	}
	if f.Proto == flows.ProtoTCP {
		b = r.tcp(append(b, `,"tcp":`...), f)
	} else if len(f.ICMP) > 0 && f.Proto != flows.ProtoICMP && f.Proto != flows.ProtoICMPv6 {
		b = appendICMP(append(b, `,"icmp_error":`...), f.ICMP[0])
	}
	b = appendWord(append(b, `,"ended":`...), f.Ended.String())
	if f.App != "" {
		b = appendString(append(b, `,"app":`...), f.App)
		b = appendWord(append(b, `,"app_basis":`...), f.AppBasis.String())
	}
	if r.o.Hosts != nil {
		if client, server := r.o.Hosts.PortClass(f); client != "" || server != "" {
			b = append(b, `,"ports":{`...)
			if client != "" {
				b = appendString(append(b, `"client":`...), client)
			}
			if server != "" {
				if client != "" {
					b = append(b, ',')
				}
				b = appendString(append(b, `"server":`...), server)
			}
			b = append(b, '}')
		}
	}
	b = r.known(b, f.Facts)
	if v != nil {
		b = r.verdict(b, f, v)
	}
	r.buf = append(b, '}')
	return r.buf
}

// end appends one end of a flow.
func (r *recorder) end(b []byte, f *flows.Flow, ap netip.AddrPort, mac flows.MAC) []byte {
	b = append(ap.Addr().AppendTo(append(b, `{"ip":"`...)), '"')
	if hasPorts(f.Proto) {
		b = strconv.AppendUint(append(b, `,"port":`...), uint64(ap.Port()), 10)
	}
	if mac != (flows.MAC{}) {
		b = append(appendMAC(append(b, `,"mac":"`...), mac), '"')
	}
	if p := r.o.Hosts; p != nil {
		if name := p.HostName(ap.Addr()); name != "" {
			b = appendString(append(b, `,"name":`...), name)
		}
		b = append(b, `,"roles":[`...)
		for i, c := range p.Roles(ap.Addr()) {
			b = appendString(comma(b, i), c.ID)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func (r *recorder) tcp(b []byte, f *flows.Flow) []byte {
	t := &f.TCP
	b = appendWord(append(b, `{"state":`...), t.State.String())
	b = appendString(append(b, `,"history":`...), t.History)
	if t.RTT > 0 {
		b = appendDecimal(append(b, `,"rtt_ms":`...), t.RTT, 6)
	}
	if t.SYNs > 0 {
		b = strconv.AppendUint(append(b, `,"syn_retries":`...), uint64(t.SYNs-1), 10)
	}
	if t.ResetBy != flows.ResetByNobody {
		b = appendWord(append(b, `,"reset_by":`...), t.ResetBy.String())
		if t.ResetTTL > 0 {
			b = strconv.AppendUint(append(b, `,"reset_ttl":`...), uint64(t.ResetTTL), 10)
		}
	}
	if t.TTL != [2]uint8{} {
		b = appendPair(append(b, `,"ttl":`...), flows.Pair{uint64(t.TTL[0]), uint64(t.TTL[1])})
	}
	if t.LongestIdle > 0 {
		b = appendDecimal(append(b, `,"idle_ms":`...), t.LongestIdle, 6)
	}
	if t.ZeroWindow != [2]int64{} {
		b = appendDecimal(append(b, `,"zero_window_ms":[`...), t.ZeroWindow[0], 6)
		b = append(appendDecimal(append(b, ','), t.ZeroWindow[1], 6), ']')
	}
	if len(f.ICMP) > 0 {
		b = appendICMP(append(b, `,"icmp":`...), f.ICMP[0])
	}
	return append(b, '}')
}

func appendICMP(b []byte, e flows.ICMPError) []byte {
	b = strconv.AppendUint(append(b, `{"type":`...), uint64(e.Type), 10)
	b = strconv.AppendUint(append(b, `,"code":`...), uint64(e.Code), 10)
	if e.From.IsValid() {
		b = append(e.From.AppendTo(append(b, `,"from":"`...)), '"')
	}
	return append(b, '}')
}

// known appends the facts, one object for each protocol.
func (r *recorder) known(b []byte, facts *dissect.Facts) []byte {
	if facts == nil || len(facts.All()) == 0 {
		return b
	}
	r.facts = append(r.facts[:0], facts.All()...)
	slices.SortStableFunc(r.facts, func(x, y dissect.Fact) int { return int(x.Key) - int(y.Key) })
	object := ""
	for i := 0; i < len(r.facts); {
		key := r.facts[i].Key
		n := 1
		for i+n < len(r.facts) && r.facts[i+n].Key == key {
			n++
		}
		name := r.names[key]
		if name.object != object {
			if object != "" {
				b = append(b, '}')
			}
			object = name.object
			b = append(append(append(b, ',', '"'), object...), `":{"`...)
		} else {
			b = append(b, ',', '"')
		}
		b = append(append(b, name.member...), '"', ':')
		b = appendFact(b, key.Info().Kind, r.facts[i:i+n])
		i += n
	}
	if object != "" {
		b = append(b, '}')
	}
	return b
}

// appendFact appends the value that same, the facts with one key, stand for.
func appendFact(b []byte, kind dissect.Kind, same []dissect.Fact) []byte {
	switch kind {
	case dissect.Text:
		return appendString(b, same[0].Str)
	case dissect.Flag:
		return strconv.AppendBool(b, same[0].Num != 0)
	case dissect.Int:
		return strconv.AppendInt(b, same[0].Num, 10)
	case dissect.Float:
		return appendDecimal(b, same[0].Num, 6)
	case dissect.Pair:
		pair := same[0].Pair()
		b = strconv.AppendInt(append(b, '['), pair[0], 10)
		b = strconv.AppendInt(append(b, ','), pair[1], 10)
		return append(b, ']')
	}
	b = append(b, '[')
	for i := range same {
		b = comma(b, i)
		if kind == dissect.Ints {
			b = strconv.AppendInt(b, same[i].Num, 10)
		} else {
			b = appendString(b, same[i].Str)
		}
	}
	return append(b, ']')
}

// verdict appends what was judged, with the evidence of each reason.
func (r *recorder) verdict(b []byte, f *flows.Flow, v *rules.Verdict) []byte {
	b = appendWord(append(b, `,"verdict":`...), v.Kind.String())
	if v.Edge != nil {
		b = appendString(append(b, `,"edge":`...), v.Edge.ID)
	}
	b = append(b, `,"reasons":[`...)
	for i, why := range v.Reasons {
		b = appendString(comma(b, i), why.Reason.String())
	}
	b = append(b, `],"concerns":[`...)
	for i, why := range v.Concerns {
		b = append(comma(b, i), `{"reason":"`...)
		b = append(append(b, why.Reason.String()...), `","severity":"`...)
		b = append(append(b, why.Reason.Severity().String()...), '"', '}')
	}
	b = append(b, `],"evidence":[`...)
	n := 0
	for _, list := range [][]rules.Because{v.Reasons, v.Concerns} {
		for _, why := range list {
			b = append(comma(b, n), '{')
			if why.Frame.Number() > 0 {
				b = strconv.AppendUint(append(b, `"frame":`...), why.Frame.Number(), 10)
				if why.Frame.File() != f.Frame.File() {
					b = appendString(append(b, `,"file":`...), r.o.file(why.Frame))
				}
				b = append(b, ',')
			}
			b = append(appendString(append(b, `"says":`...), says(f, why)), '}')
			n++
		}
	}
	return append(b, ']')
}

// says is one reason of f as a phrase, with what was seen: where an ICMP error
// proves it, who sent that.
func says(f *flows.Flow, why rules.Because) string {
	s := why.Reason.Explain()
	if why.Saw != "" {
		return s + ": " + why.Saw
	}
	for i := range f.ICMP {
		if e := &f.ICMP[i]; why.Frame != 0 && e.Frame == why.Frame && e.From.IsValid() {
			return s + ": " + rules.Answered(f, e)
		}
	}
	return s
}

// time appends ns, nanoseconds since 1970, as RFC 3339 in UTC with nine
// digits. Flows come in the order of their start, so the seconds are mostly
// those of the flow before.
func (r *recorder) time(b []byte, ns int64) []byte {
	second, rest := ns/1e9, ns%1e9
	if rest < 0 {
		second, rest = second-1, rest+1e9
	}
	if second != r.second {
		r.second = second
		r.stamp = time.Unix(second, 0).UTC().AppendFormat(r.stamp[:0], "2006-01-02T15:04:05")
	}
	b = append(append(b, r.stamp...), '.')
	b = appendDigits(b, uint64(rest), 9)
	return append(b, 'Z')
}

// timestamp is ns as the record prints it.
func timestamp(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z")
}

func appendDigits(b []byte, v uint64, digits int) []byte {
	n := len(b)
	for range digits {
		b = append(b, '0')
	}
	for i := n + digits - 1; i >= n; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
	}
	return b
}

// appendDecimal appends v / 10^digits exactly, without trailing zeros.
func appendDecimal(b []byte, v int64, digits int) []byte {
	u := uint64(v)
	if v < 0 {
		b = append(b, '-')
		u = -u
	}
	unit := uint64(1)
	for range digits {
		unit *= 10
	}
	b = strconv.AppendUint(b, u/unit, 10)
	if u %= unit; u == 0 {
		return b
	}
	b = appendDigits(append(b, '.'), u, digits)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

func appendPair(b []byte, p flows.Pair) []byte {
	b = strconv.AppendUint(append(b, '['), p[0], 10)
	b = strconv.AppendUint(append(b, ','), p[1], 10)
	return append(b, ']')
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		b = appendString(comma(b, i), s)
	}
	return append(b, ']')
}

const hexDigits = "0123456789abcdef"

func appendMAC(b []byte, mac flows.MAC) []byte {
	for i, x := range mac {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hexDigits[x>>4], hexDigits[x&15])
	}
	return b
}

// comma appends the comma before the i-th element.
func comma(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

// appendWord appends a word of this program as a JSON string: it needs no escapes.
func appendWord(b []byte, word string) []byte {
	return append(append(append(b, '"'), word...), '"')
}

// appendString appends s as a JSON string (RFC 8259 section 7). Bytes that are
// not UTF-8 become U+FFFD. Control characters of both ranges, line separators
// and direction marks are escaped although JSON does not ask for all of it:
// records are looked at in terminals.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = appendEscape(b, rune(c))
			}
			i++
			start = i
			continue
		}
		c2, size := utf8.DecodeRuneInString(s[i:])
		if c2 == utf8.RuneError && size == 1 || hostile(c2) {
			b = append(b, s[start:i]...)
			b = appendEscape(b, c2)
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

// appendEscape appends a character of the basic multilingual plane, or a pair
// of surrogates, as \uXXXX.
func appendEscape(b []byte, c rune) []byte {
	if c > 0xffff {
		c -= 0x10000
		return appendEscape(appendEscape(b, 0xd800+c>>10), 0xdc00+c&0x3ff)
	}
	return append(b, '\\', 'u', hexDigits[c>>12&15], hexDigits[c>>8&15], hexDigits[c>>4&15], hexDigits[c&15])
}

// hasPorts says whether the ends of a flow have ports.
func hasPorts(proto uint8) bool {
	return proto == flows.ProtoTCP || proto == flows.ProtoUDP || proto == flows.ProtoSCTP
}

// place is a frame for people: "monday.pcap:41", or "frame 41" when there is
// one capture only.
func (o *Options) place(id pcaps.FrameID) string {
	switch number := strconv.FormatUint(id.Number(), 10); {
	case id.Number() == 0:
		return ""
	case len(o.Files) < 2:
		return "frame " + number
	default:
		return o.shortName(id.File()) + ":" + number
	}
}

// shortName is the name of a capture without its directory, where that still
// tells it from the others.
func (o *Options) shortName(n int) string {
	if n >= len(o.Files) {
		return "?"
	}
	base := filepath.Base(o.Files[n])
	for i, name := range o.Files {
		if i != n && filepath.Base(name) == base {
			return o.Files[n]
		}
	}
	return base
}
