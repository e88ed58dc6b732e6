package dissect

import "strconv"

// traceGreeting tells of a greeting of 2.0 or 3.x.
func (e *zmtpEnd) traceGreeting(dir Dir, facts *Facts) {
	if e.version < 3 {
		facts.tell(dir, 0, "ZMTP greeting", Field{"version", "2.0"}, Field{"socket type", e.socket})
		return
	}
	facts.tell(dir, 0, "ZMTP greeting",
		Field{"version", strconv.Itoa(e.version) + "." + strconv.Itoa(e.minor)},
		Field{"mechanism", e.mechanism},
		Field{"as-server", strconv.FormatBool(e.asServer)})
}

// traceCommand tells of a command, a frame of whole bytes at byte at of what
// Parse was given whose header takes head of them. data is what is at hand of
// it behind the name. What a mechanism sends to prove who it is, is not shown:
// of PLAIN the password, of a mechanism that is not known all there is. CURVE
// seals what is secret.
func (p *zmtpParser) traceCommand(dir Dir, name string, data reader, at, head, whole int, facts *Facts) {
	mechanism := p.end[dir].mechanism
	fields := []Field{{"length", bytesOf(whole - head)}}
	show := whole
	switch {
	case p.complete && (name != "READY" || p.end[dir].ready), name == "MESSAGE", name == "PING", name == "PONG":
		show = 0 // not of the handshake
	case name == "ERROR":
		reason := data.bytes("error reason", data.u8("error reason size"))
		fields = append(fields, Field{"reason", printable(reason)})
	case mechanism == "NULL", mechanism == "PLAIN" && name != "HELLO":
		fields = append(fields, traceMetadata(&data)...)
	case mechanism == "PLAIN":
		fields = append(fields, Field{"user name and password", "in clear, not shown"})
		show = head + data.off
	case mechanism != "CURVE":
		show = head + data.off
	}
	if size := curveSizes[name]; mechanism == "CURVE" && size > 0 && size != whole-head {
		fields = append(fields, Field{"odd", "CURVE has " + bytesOf(size) + " here"})
	}
	facts.open(dir, at, show)
	facts.hand(Message{Dir: dir, Data: show == 0, Text: "ZMTP " + printable([]byte(name)), Fields: fields})
}

// curveSizes are the lengths of CURVE's commands that do not vary (rfc 26).
var curveSizes = map[string]int{"HELLO": 200, "WELCOME": 168}

// traceMetadata is the properties of READY or INITIATE in clear.
func traceMetadata(r *reader) []Field {
	var fields []Field
	for i := 0; i < maxZMTPMetadata && r.left() > 0; i++ {
		name := r.bytes("property name", r.u8("property name size"))
		value := r.bytes("property value", int(r.be32("property value size")))
		if r.err() != nil {
			break
		}
		switch n := printable(name); n {
		case "Socket-Type", "Identity", "Resource":
			fields = append(fields, Field{n, printable(clipBytes(value))})
		default:
			fields = append(fields, Field{n, bytesOf(len(value)) + " not shown"})
		}
	}
	return fields
}
