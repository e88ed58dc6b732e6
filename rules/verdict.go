package rules

import "wirechart/pcaps"

// Kind is a verdict on one flow.
type Kind uint8

// The verdicts. The zero value is Indeterminate: silence never reads as
// permission.
const (
	Indeterminate Kind = iota // an edge joins the ends; what would decide it is not in the capture
	Documented                // an edge joins them, and everything it requires was observed
	Violation                 // an edge joins them, and something it requires is contradicted
	Undocumented              // no edge joins them, and at least one end is a component
	Blocked                   // an edge joins them, and the connection did not get through
	Ambient                   // declared by the diagram as ordinary infrastructure
	OutOfScope                // neither end is a component
	kinds
)

func (k Kind) String() string {
	return [kinds]string{"indeterminate", "documented", "violation", "undocumented", "blocked", "ambient", "out_of_scope"}[k]
}

// Severity orders concerns and findings.
type Severity uint8

// From the mildest up.
const (
	Info Severity = iota
	Low
	Medium
	High
)

func (s Severity) String() string { return [...]string{"info", "low", "medium", "high"}[s] }

// Because is one reason of a verdict, or one concern, with its evidence.
type Because struct {
	Reason Reason
	Frame  pcaps.FrameID // the frame that proves it; 0 when absence is the proof
	Saw    string        // what was seen, as it stands in the facts: "NULL", "cdn.example", "1.0"; may be empty
}

// Verdict is the answer for one flow.
type Verdict struct {
	Kind     Kind
	Edge     *Edge     // the edge that decided or came nearest; nil when there is none
	Reasons  []Because // why, the deciding one first; never empty unless Documented, Ambient or OutOfScope
	Concerns []Because // good practice that the diagram does not speak of; they never change Kind
}

// Decides is the reason that v's finding is of, nil when there is none: the
// first, or that it is one port of many that a scan tried, so that the scan is
// one finding and not one for each port.
func (v *Verdict) Decides() *Because {
	for i := range v.Reasons {
		if v.Reasons[i].Reason == PortScan {
			return &v.Reasons[i]
		}
	}
	if len(v.Reasons) == 0 {
		return nil
	}
	return &v.Reasons[0]
}
