package dissect

// Records of flows and counters that devices send to a collector by UDP. It is
// those devices that speak first, and nobody answers.
//
//	NetFlow 5  0005  count (2)  uptime (4) ...  24 bytes, and 48 for each record    Cisco
//	NetFlow 9  0009  count (2)  uptime (4)  time (4)  sequence (4)  source (4)      RFC 3954 section 5
//	IPFIX      000a  length (2)  time (4)  sequence (4)  domain (4)                 RFC 7011 section 3.1
//	           both: set (2)  length (2) ...
//	sFlow 5    00000005  address type (4)  address (4, 16)  sub-agent (4)
//	           sequence (4)  uptime (4)  samples (4)  format (4)  length (4)        sflow.org, version 5

var netflow = Dissector{
	Name:  "netflow",
	Over:  UDP,
	Ports: []uint16{2055, 9995, 9996},
	Probe: probeNetFlow,
	New:   newNamed,
}

var ipfix = Dissector{
	Name:  "ipfix",
	Over:  UDP,
	Ports: []uint16{4739},
	Probe: probeIPFIX,
	New:   newNamed,
}

var sflow = Dissector{
	Name:  "sflow",
	Over:  UDP,
	Ports: []uint16{6343},
	Probe: probeSFlow,
	New:   newNamed,
}

func probeNetFlow(_ Dir, b []byte) Match {
	const header, record, most = 24, 48, 30
	r := newReader(b)
	version := r.be16("version")
	count := r.be16("count")
	switch {
	case len(b) > 0 && b[0] != 0, len(b) > 1 && version != 5 && version != 9:
		return No
	case r.err() != nil:
		return Maybe
	case count == 0:
		return No
	case version == 9:
		r.bytes("uptime, time, sequence, source", 16)
		return firstSet(r, 0, 1)
	case count > most || len(b) > header+record*count:
		return No
	case len(b) < header+record*count:
		return Maybe
	}
	return FromClient
}

func probeIPFIX(_ Dir, b []byte) Match {
	const header = 16
	r := newReader(b)
	version := r.be16("version")
	length := r.be16("length")
	switch {
	case len(b) > 0 && b[0] != 0, len(b) > 1 && version != 10:
		return No
	case r.err() != nil:
		return Maybe
	case length < header+4 || length < len(b):
		return No
	case length > len(b):
		return Maybe
	}
	r.bytes("time, sequence, domain", 12)
	return firstSet(r, 2, 3)
}

// firstSet judges a message by its first set: one of templates, numbered so, can
// hardly be anything else; one of data could.
func firstSet(r *reader, template, options int) Match {
	const header, firstData = 4, 256
	set := r.be16("set")
	length := r.be16("length of the set")
	switch {
	case r.err() != nil:
		return Maybe
	case length < header, set != template && set != options && set < firstData:
		return No
	}
	r.bytes("set", length-header)
	switch {
	case r.err() != nil:
		return Maybe
	case set >= firstData:
		return Weak
	}
	return FromClient
}

func probeSFlow(_ Dir, b []byte) Match {
	const addressAt, lastFormat = 4, 4
	if m := begins(b, "\x00\x00\x00\x05"); m != Yes {
		return m
	}
	r := newReader(b[addressAt:])
	switch kind := r.be32("address type"); {
	case kind == 2:
		r.bytes("address", 16)
	case kind == 1 || r.err() != nil:
		r.bytes("address", 4)
	default:
		return No
	}
	r.bytes("sub-agent, sequence, uptime", 12)
	samples := r.be32("samples")
	format := r.be32("format")
	switch {
	case r.err() != nil:
		return Maybe
	case samples == 0 || format == 0 || format > lastFormat:
		return No
	}
	return FromClient
}
