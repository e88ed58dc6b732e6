package report

import (
	"fmt"
	"strconv"
	"strings"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

func (p *page) captures(c *rules.Coverage, x extent) {
	files := c.Captures.Files
	var frames, bytes uint64
	for i := range files {
		frames += files[i].Frames
		bytes += files[i].Bytes
	}
	title := "Capture"
	if len(files) > 1 {
		title = "Captures"
	}
	more := ""
	if len(files) > 1 {
		more = fmt.Sprintf("%d files, %s, %s", c.Captures.Captures(), count(frames, "frame"), size(bytes))
		if c.Last > c.First {
			more += ", " + span(c.Last-c.First)
		}
	}
	p.heading(title, more)
	columns := []column{{}, {right: true}, {right: true}, {}, {}}
	if p.o.width() < 100 {
		columns = columns[:4]
	}
	var rows [][]cell
	for i := range files {
		if i == x.captures {
			rows = append(rows, []cell{{fmt.Sprintf("and %s more", number(uint64(len(files)-i))), dim}, {}, {}, {}, {}})
			break
		}
		f := &files[i]
		kind := f.Format
		if f.Compression != "" {
			kind += ", " + f.Compression
		}
		when := "no packets"
		if f.Frames > 0 {
			when = minute(f.First) + ", " + span(f.Last-f.First)
		}
		rows = append(rows, []cell{cellOf(f.Name), cellOf(count(f.Frames, "frame")),
			cellOf(size(f.Bytes)), cellOf(when), cellOf(kind)})
	}
	// The end of a name tells more than its beginning: what does not fit is
	// taken from the front.
	room := p.o.width() - 2
	for i := range columns[1:] {
		most := 0
		for _, row := range rows {
			most = max(most, cells(row[i+1].text))
		}
		room -= most + gridGap
	}
	for _, row := range rows {
		row[0].text = tail(row[0].text, max(room, 16))
	}
	p.grid(2, columns, rows)

	trouble, asides := coverageRemarks(c)
	for _, line := range trouble {
		p.mark(2, "!", yellow, line)
	}
	if len(trouble) == 0 && frames > 0 {
		p.mark(2, "✓", green, nothingMissing(c))
	}
	for _, line := range asides {
		p.mark(2, "·", dim, line)
	}
}

// nothingMissing is said of captures without trouble.
func nothingMissing(c *rules.Coverage) string {
	if c.BothWays {
		return "whole frames, nothing missing, both directions"
	}
	return "whole frames, nothing missing"
}

// coverageRemarks are what a reader should know of the captures: what was
// missing from them (trouble), and what was left out for good reasons (asides).
func coverageRemarks(c *rules.Coverage) (trouble, asides []string) {
	warn := func(format string, args ...any) {
		trouble = append(trouble, fmt.Sprintf(format, args...))
	}
	remarkFiles(c.Captures.Files, warn)
	if s := c.Captures; s.Dropped+s.InterfaceDropped > 0 {
		warn("%s lost while capturing: %s for lack of buffers, %s by the interface",
			count(s.Dropped+s.InterfaceDropped, "frame"), number(s.Dropped), number(s.InterfaceDropped))
	}
	switch c.Stopped {
	case rules.StopCount:
		warn("reading stopped after %s, as --count asked: the results are of these only", count(c.Decoded.Packets, "frame"))
	case rules.StopInterrupt:
		warn("interrupted after %s: the results are of these only", count(c.Decoded.Packets, "frame"))
	}
	remarkCut(c.Captures.Files, warn)
	remarkFlows(c, warn)
	remarkDecoding(&c.Decoded, warn)
	if c.Lossy {
		warn("so much is missing that the verdicts rest on less than they should")
	}
	aside := func(what string, n uint64, more string) {
		if n > 0 {
			asides = append(asides, what+": "+count(n, "frame")+more)
		}
	}
	aside("copies made by the mirror", c.Decoded.Copies, ", counted separately")
	aside("not IP", c.Decoded.Outcomes[flows.NotIP], " (ARP and the like)")
	aside("left out by the filter", c.Captures.Filtered, "")
	return trouble, asides
}

// remarkFiles warns of what was wrong with one capture or another.
func remarkFiles(files []pcaps.FileStats, warn func(string, ...any)) {
	for i := range files {
		f := &files[i]
		if d := f.Damage; d != nil {
			where := fmt.Sprintf("read up to frame %d, byte %d", d.Frame, d.Offset)
			if d.Frame == 0 {
				where = fmt.Sprintf("no frame could be read, byte %d", d.Offset)
			}
			warn("%s is damaged: %s: %s", tail(f.Name, 40), where, d.Reason)
		}
		if f.Leaps > 0 {
			warn("%s: %s", tail(f.Name, 40), leaps(f))
		}
		if f.Outages > 0 {
			warn("%s %s while capturing: what passed until it came back is not known", tail(f.Name, 40), outages(f))
		}
	}
}

// remarkCut warns of frames that a snap length cut.
func remarkCut(files []pcaps.FileStats, warn func(string, ...any)) {
	var frames, cut uint64
	for i := range files {
		frames += files[i].Frames
		cut += files[i].Cut
	}
	if cut > 0 {
		warn("%s of %s cut by the snap length%s: what followed is not known", number(cut), count(frames, "frame"), snapLengths(files))
	}
}

// remarkFlows warns of what flows lack.
func remarkFlows(c *rules.Coverage, warn func(string, ...any)) {
	if c.OneSided > 0 {
		warn("%s captured in one direction only", count(c.OneSided, "TCP flow"))
	}
	if c.LateStart > 0 {
		how := "how they were opened is not known"
		if c.LateStart == 1 {
			how = "how it was opened is not known"
		}
		warn("%s began before the capture did: %s", count(c.LateStart, "TCP flow"), how)
	}
	if c.Missed > 0 {
		warn("%s of payload never reached the capture", size(c.Missed))
	}
}

// remarkDecoding warns of frames and flows that did not find their way through the
// table.
func remarkDecoding(d *flows.Stats, warn func(string, ...any)) {
	for outcome, n := range d.Outcomes {
		switch kind := flows.Outcome(outcome); {
		case n == 0 || kind == flows.Decoded || kind == flows.NotIP || kind == flows.Fragment:
		case kind == flows.UnknownLink:
			var links []string
			for _, l := range d.Unknown {
				name, number := l.String(), strconv.Itoa(int(l))
				if name != number && l != pcaps.LinkUnknown {
					name += " (" + number + ")"
				}
				links = append(links, name)
			}
			warn("%s of a link type that is not understood: %s", count(n, "frame"), strings.Join(links, ", "))
		case kind == flows.Encrypted:
			warn("%s encrypted by the link (Wi-Fi or MACsec): what they carry is not known", count(n, "frame"))
		case kind == flows.Truncated:
			warn("%s cut inside a header, not counted in any flow", count(n, "frame"))
		case kind == flows.PortsOnly:
			warn("%s cut after the ports: counted in their flows, of which little more is known", count(n, "frame"))
		default:
			warn("%s with inconsistent headers, not counted in any flow", count(n, "frame"))
		}
	}
	if d.Partial > 0 {
		warn("%s of which not all fragments were captured", count(d.Partial, "datagram"))
	}
	if d.Evicted > 0 {
		warn("%s ended early because the table of flows was full (--max-flows)", count(d.Evicted, "flow"))
	}
	if d.Early > 0 {
		warn("%s judged before the end of the captures to make room (--max-flows): roles learned later did not count for them", count(d.Early, "flow"))
	}
}

// leaps says that times cannot be trusted.
func leaps(f *pcaps.FileStats) string {
	if f.Leaps == 1 {
		return fmt.Sprintf("frame %d is dated more than a year from the one before it: times and durations are not to be trusted", f.LeapFrame)
	}
	return fmt.Sprintf("%s are dated more than a year from the one before them, first frame %d: times and durations are not to be trusted",
		count(f.Leaps, "frame"), f.LeapFrame)
}

// outages says how often the interface of a live capture was gone.
func outages(f *pcaps.FileStats) string {
	if f.Outages == 1 {
		return "went down once"
	}
	return "went down " + number(f.Outages) + " times"
}

// snapLengths says what the snap lengths of cut captures are.
func snapLengths(files []pcaps.FileStats) string {
	var lengths []string
	for i := range files {
		if f := &files[i]; f.Cut > 0 && f.SnapLen > 0 {
			s := number(uint64(f.SnapLen)) + " bytes"
			if len(lengths) == 0 || lengths[len(lengths)-1] != s {
				lengths = append(lengths, s)
			}
		}
	}
	if len(lengths) == 0 || len(lengths) > 3 {
		return ""
	}
	return " (" + strings.Join(lengths, ", ") + ")"
}
