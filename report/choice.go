package report

import (
	"fmt"
	"strconv"

	"wirechart/rules"
)

// choiceDoc is one client's choice among servers by ping, in the JSON audit.
type choiceDoc struct {
	Client   string      `json:"client"`
	Name     string      `json:"name,omitempty"`
	Edge     string      `json:"edge" doc:"that of the echoes"`
	Pinged   []pingedDoc `json:"pinged" doc:"the fastest first, those that never answered last"`
	Used     string      `json:"used,omitempty" doc:"the server called over TLS after the first echo"`
	Called   string      `json:"called,omitempty" doc:"the name by which it was called"`
	File     string      `json:"file,omitempty"`
	Frame    uint64      `json:"frame,omitempty" doc:"first frame of that call"`
	Bytes    uint64      `json:"bytes,omitempty" doc:"exchanged with it after the first echo"`
	Closest  *bool       `json:"closest,omitempty" doc:"whether no other answered noticeably faster; absent where the one used answered no echo"`
	BehindMS float64     `json:"behind_ms,omitempty" doc:"how much faster the fastest answered"`
}

type pingedDoc struct {
	Server string  `json:"server"`
	Name   string  `json:"name,omitempty"`
	RTT    float64 `json:"rtt_ms,omitempty" doc:"the least; absent where no answer came"`
	Sent   uint64  `json:"sent" doc:"echo requests"`
	File   string  `json:"file,omitempty"`
	Frame  uint64  `json:"frame,omitempty" doc:"the first echo request"`
}

func newChoiceDoc(c *rules.Choice, o *Options) choiceDoc {
	doc := choiceDoc{Client: c.Client.String(), Name: c.Name, Edge: c.Edge.ID, Called: c.Called, Bytes: c.Bytes, Pinged: []pingedDoc{}}
	for _, p := range c.Pinged {
		doc.Pinged = append(doc.Pinged, pingedDoc{p.Server.String(), p.Name, float64(p.RTT) / 1e6, p.Sent, o.file(p.Frame), p.Frame.Number()})
	}
	if c.Used.IsValid() {
		doc.Used, doc.File, doc.Frame = c.Used.String(), o.file(c.Frame), c.Frame.Number()
	}
	if c.Known {
		doc.Closest, doc.BehindMS = &c.Closest, float64(c.Behind)/1e6
	}
	return doc
}

// choiceTitle heads the section on choices.
const choiceTitle = "Servers chosen by ping"

// choiceRow is a choice in words: who, what was pinged, what was then used, and
// whether that was the closest.
func choiceRow(c *rules.Choice, servers int) (client, pinged, used, closest string) {
	client = c.Client.String()
	if c.Name != "" {
		client = c.Name
	}
	for i, p := range c.Pinged {
		if i == servers {
			pinged += fmt.Sprintf(" and %d more", len(c.Pinged)-i)
			break
		}
		if i > 0 {
			pinged += ", "
		}
		pinged += p.Server.String() + " " + milliseconds(p.RTT)
	}
	used = "nothing over TLS"
	if c.Used.IsValid() {
		used, closest = c.Used.String(), "not known: it answered no echo"
		if c.Called != "" {
			used += " (" + c.Called + ")"
		}
	}
	switch {
	case !c.Known:
	case c.Closest && c.Behind < 500: // 0.000 ms, as it would be written
		closest = "the closest"
	case c.Closest:
		closest = "as close as the closest, " + milliseconds(c.Behind) + " apart"
	default:
		closest = milliseconds(c.Behind) + " behind the closest"
	}
	return client, pinged, used, closest
}

// milliseconds is a round-trip time for people, with the digits that ping shows.
func milliseconds(ns int64) string {
	if ns == 0 {
		return "no answer"
	}
	decimals := 3
	for limit := int64(1e6); ns >= limit && decimals > 0; limit *= 10 {
		decimals--
	}
	return strconv.FormatFloat(float64(ns)/1e6, 'f', decimals, 64) + " ms"
}

func (p *page) choices(a *rules.Audit, x extent) {
	if len(a.Choices) == 0 {
		return
	}
	p.heading(choiceTitle, count(uint64(len(a.Choices)), "client"))
	for i := range a.Choices {
		if i == x.choices {
			p.mark(2, "·", dim, fmt.Sprintf("and %s more: -o wide shows them all", count(uint64(len(a.Choices)-i), "client")))
			break
		}
		servers := 4
		if len(a.Choices) < x.choices { // there is room for all
			servers = len(a.Choices[i].Pinged)
		}
		client, pinged, used, closest := choiceRow(&a.Choices[i], servers)
		sign, st := "✓", green
		if !a.Choices[i].Closest {
			sign, st = "·", dim
		}
		if closest != "" {
			used += ": " + closest
		}
		p.mark(2, sign, st, client+" pinged "+pinged+"; then used "+used)
	}
}

func (m *markdownPage) choices(a *rules.Audit) {
	if len(a.Choices) == 0 {
		return
	}
	m.print("\n## " + choiceTitle + "\n\n")
	m.head("client", "pinged", "then used", "which is")
	for i := range a.Choices {
		client, pinged, used, closest := choiceRow(&a.Choices[i], 8)
		m.row(text(client), text(pinged), text(used), text(closest))
	}
}
