package rules

import (
	"iter"
	"net/netip"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// Audit is everything that a report says: the answer, and what it rests on.
// All slices are in the order in which they are to be printed, and the same
// flows give the same Audit.
type Audit struct {
	Diagram  *Diagram
	Coverage Coverage
	Hosts    []Host
	Edges    []EdgeState // in the order of the diagram
	Findings []Finding   // most serious first
	Concerns []Finding   // good practice, likewise
	Choices  []Choice    // of servers by ping, in the order in which the clients were met
	Verdicts [kinds]Count
	Ambient  []HostPair // who used ordinary infrastructure, the first few hundred pairs
	Detail   *Detail    // nil unless Tally.KeepDetail was called
	Notes    []string   // what the reader should know about the method or the limits met, each a sentence

	MoreAmbient uint64 // flows of pairs that Ambient has no room for

	Others     []HostPair // who else spoke: hosts without a role, the first few thousand pairs
	MoreOthers uint64     // flows that came when Others was full

	// Baseline says what was left out of Findings and Concerns because an
	// earlier audit has it as well; nil when there is none.
	Baseline *Baseline
}

// FindingsAndConcerns goes through the findings and then the concerns, and says
// of each whether it is a concern.
func (a *Audit) FindingsAndConcerns() iter.Seq2[*Finding, bool] {
	return func(yield func(*Finding, bool) bool) {
		for i := range a.Findings {
			if !yield(&a.Findings[i], false) {
				return
			}
		}
		for i := range a.Concerns {
			if !yield(&a.Concerns[i], true) {
				return
			}
		}
	}
}

// Baseline is an earlier audit, of which only what is new is reported.
type Baseline struct {
	File  string
	Known int    // findings and concerns left out
	Flows uint64 // and their flows
}

// Count is a number of flows and the wire bytes they carried.
type Count struct {
	Flows, Bytes uint64
}

// Coverage says what the captures could have shown.
type Coverage struct {
	Captures    pcaps.Stats
	Decoded     flows.Stats
	Keys        dissect.KeyLogStats // what secrets of TLS connections did
	First, Last int64               // packet times, nanoseconds
	Flows       uint64              // flows tracked
	OneSided    uint64              // TCP flows of which one direction was captured
	BothWays    bool                // of some flow both directions were captured
	LateStart   uint64              // TCP flows that began before the capture did
	Missed      uint64              // payload bytes known to be missing
	Lossy       bool                // so much is missing that verdicts rest on less than they should
	Stopped     Stop                // why the captures were not read to their end
}

// Stop says why reading ended before the captures did.
type Stop uint8

// The zero value: it did not.
const (
	ReadWhole Stop = iota
	StopCount      // as many frames as were asked for had been read
	StopInterrupt
)

func (s Stop) String() string { return [...]string{"", "count", "interrupt"}[s] }

// Dropped is how many frames were lost between the interface and the program:
// what they showed, nobody knows.
func (c *Coverage) Dropped() uint64 {
	return c.Captures.Dropped + c.Captures.InterfaceDropped
}

// Host is an address that has a role, or that a finding speaks of.
type Host struct {
	Addr  netip.Addr
	Name  string   // from the inventory, else DNS, SNI or a certificate; may be empty
	Names []string // every name known
	MAC   flows.MAC
	Roles []Role // most certain first; empty for a host without a role

	Pinned    bool      // the inventory says which roles it has
	Ports     [2]uint16 // lowest and highest source port of connections that it opened
	Sampled   int       // how many source ports those are of; 0 where none is known
	Flows     uint64    // flows with payload that it took part in
	FirstSeen pcaps.FrameID
}

// Role is a component that a host was found to be, or is by the inventory.
type Role struct {
	Component  *Component
	Confidence float64 // 0 to 1
	Because    []Evidence
	Remembered bool // from an earlier run; nothing was seen in this one
}

// Evidence is one observation that a role rests on.
type Evidence struct {
	Weight float64
	Says   string // "answers ZMTP CURVE on 7780 for 5 clients"
	Frame  pcaps.FrameID
}

// EdgeStatus is the state of one edge of the diagram.
type EdgeStatus uint8

// The states of an edge, from the best to the worst.
const (
	EdgeSeen EdgeStatus = iota
	EdgeUndecided
	EdgeNotSeen
	EdgeBlocked
	EdgeViolated
)

func (s EdgeStatus) String() string {
	return [...]string{"seen", "undecided", "not seen", "blocked", "violated"}[s]
}

// EdgeState is what the captures say of one edge.
type EdgeState struct {
	Edge     *Edge
	Status   EdgeStatus
	Verdicts [kinds]Count
	First    pcaps.FrameID // an example
	Example  string        // "10.20.30.22:51514 > 10.20.30.11:7780"
	// CouldShow answers, for an edge that was not seen, whether these captures
	// could have shown it; Why is the sentence.
	CouldShow bool
	Why       string

	Since, Last int64 // packet times: the beginning of its first flow, the end of its last; 0 for none
	Earlier     int64 // when it was last seen in an earlier run, as far as that is known (Memory)

	Pairs     []HostPair // who used it, the first few hundred
	MorePairs uint64     // flows of pairs that found no room
}

// Finding is many flows with one verdict for one reason between the same
// components at the same service.
type Finding struct {
	ID       string // stable from one audit to the next: depends on what was found, not on when
	Kind     Kind
	Severity Severity
	Reason   Reason
	Edge     *Edge  // may be nil
	From, To string // component ids, or addresses of hosts without a role
	Service  string // "tcp/7780"
	Flows    uint64
	Bytes    uint64
	First    int64 // packet times, nanoseconds
	Last     int64
	Clients  []netip.Addr // distinct, the first few
	Servers  []netip.Addr
	Example  Example
	Title    string // one sentence: what was found
	Do       string // one sentence: what to do next

	// Of connections killed for being idle, nanoseconds of silence: the shortest
	// that one was killed after, and the longest that one of the edge lived
	// through. The timeout of the device lies between. 0 for none.
	IdleKilled, IdleLived int64

	// Who it was, the first few hundred: of traffic that no edge allows. Pairs of
	// an edge are with the edge.
	Pairs     []HostPair
	MorePairs uint64 // flows of pairs that found no room
}

// Example is the flow that proves a Finding.
type Example struct {
	Client, Server netip.AddrPort
	Frame          pcaps.FrameID
	Says           string // what the frame shows
}
