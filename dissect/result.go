package dissect

// Result is what a dissection came to, for a flow of which nothing more will be
// read: all that is asked for later, without what reading it needed. Most flows
// of a capture are over at any time, so this is what a flow costs.
type Result struct {
	facts  []Fact
	app    string
	broken error
	by     Basis
	lost   bool
}

// Conclude ends the dissection and returns what it came to. The State can then
// be Reset for another flow.
func (s *State) Conclude(set *Set) Result {
	s.Close(set)
	return Result{facts: set.store(s.list), app: s.Protocol(set), broken: s.broken, by: s.basis, lost: s.lost}
}

// Reset readies s for another flow. The space of its facts is used again.
func (s *State) Reset() {
	list := s.list[:0]
	*s = State{}
	s.list = list
}

// Protocol is the name of the protocol found, "" when none was.
func (r *Result) Protocol() string { return r.app }

// By says how the protocol is known.
func (r *Result) By() Basis { return r.by }

// Broken is the contradiction that ended parsing, or nil.
func (r *Result) Broken() error { return r.broken }

// Lost says whether bytes were missing before the dissection was done.
func (r *Result) Lost() bool { return r.lost }

// Show makes f the facts of r, to be read. They stay those of r.
func (r *Result) Show(f *Facts) {
	*f = Facts{list: r.facts}
	for i := range r.facts {
		k := r.facts[i].Key
		f.present[k/64] |= 1 << (k % 64)
	}
}

// factChunk is how many facts are stored in one allocation: enough for the
// cost of one to vanish, few enough for it to be freed when its flows are.
const factChunk = 1 << 12

// store copies facts to where they are kept until nobody refers to them.
func (s *Set) store(list []Fact) []Fact {
	n := len(list)
	if n == 0 {
		return nil
	}
	if cap(s.facts)-len(s.facts) < n {
		s.facts = make([]Fact, 0, max(factChunk, n))
	}
	at := len(s.facts)
	s.facts = append(s.facts, list...)
	return s.facts[at : at+n : at+n]
}
