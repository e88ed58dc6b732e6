package main

import (
	"fmt"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// evidence keeps the frames of flows that findings rest on, in captures of a
// directory: from the first frame on where that is still at hand, and for as
// long as the flow goes on.
type evidence struct {
	recall *flows.Recall
	ring   *pcaps.Rotation

	met  map[pcaps.FrameID]bool // flows decided about, by their first frame
	kept map[sort]int           // flows kept of each in the hour at hand
	hour int64
	told bool // that the disk is full
	note func(string)
}

// sort is what findings are about, told without asking the Tally, which takes
// long.
type sort struct {
	kind   rules.Kind
	reason rules.Reason
	edge   *rules.Edge
	port   uint16
}

// The bounds of what is kept.
const (
	recallBytes     = 64 << 20 // frames of all flows, until these are judged
	recallPerFlow   = 64 << 10
	flowsPerFinding = 8 // in an hour: more of the same prove no more
	maxMet          = 1 << 16
)

func newEvidence(dir string, size int64, files int, note func(string)) (*evidence, error) {
	ring, err := pcaps.NewRotation(dir, "evidence", size, files, "wirechart "+version, "frames of flows that findings rest on")
	if err != nil {
		return nil, err
	}
	return &evidence{recall: flows.NewRecall(recallBytes, recallPerFlow), ring: ring,
		met: map[pcaps.FrameID]bool{}, kept: map[sort]int{}, note: note}, nil
}

// add takes a batch in.
func (e *evidence) add(batch []pcaps.Packet) {
	for i := range batch {
		if _, wanted := e.recall.Add(&batch[i]); wanted {
			e.write(&batch[i])
		}
	}
}

// judged wants the frames of a flow that tally has just counted in a finding.
func (e *evidence) judged(f *flows.Flow, v *rules.Verdict, tally *rules.Tally) {
	switch v.Kind {
	case rules.Violation, rules.Undocumented, rules.Blocked:
	default:
		return
	}
	if e.met[f.Frame] {
		return
	}
	const hour = int64(3600e9)
	if now := f.End / hour; now != e.hour || len(e.met) >= maxMet {
		e.hour = now
		clear(e.met)
		clear(e.kept)
	}
	e.met[f.Frame] = true
	if len(v.Reasons) == 0 {
		return
	}
	of := sort{v.Kind, v.Reasons[0].Reason, v.Edge, f.Server.Port()}
	if e.kept[of] >= flowsPerFinding {
		return
	}
	e.kept[of]++
	ids := tally.Counted()
	if len(ids) == 0 {
		return
	}
	e.recall.Want(f, fmt.Sprintf("finding %s, %s: %s", ids[0], v.Kind, v.Reasons[0].Reason))
}

// search writes what is at hand of the flows that were wanted since.
func (e *evidence) search() {
	e.recall.Search(func(p *pcaps.Packet, label string, first bool) {
		if first {
			e.write(p, label)
		} else {
			e.write(p)
		}
	})
}

// write keeps a frame. What cannot be written is counted, and said once.
func (e *evidence) write(p *pcaps.Packet, comments ...string) { e.failed(e.ring.Write(p, comments...)) }

func (e *evidence) flush() { e.failed(e.ring.Flush()) }

func (e *evidence) failed(err error) {
	if err != nil && !e.told {
		e.note(fmt.Sprintf("--evidence %v: frames are not kept until there is room", err))
	}
	if err != nil {
		e.told = true
	}
}
