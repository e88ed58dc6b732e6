package main

import (
	"time"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// monitor says, while packets go on to come, what the audit would be if the run
// ended now.
//
// What it keeps is what a run over files keeps, for as long: flows that are over
// stay in the table, and are judged anew at each look, by what is known of their
// hosts by then. They are settled for good, into the Policy and the Tally that
// all looks begin with, when the table is full, as over files, or when they have
// been over for --keep. So the last audit of a run that was shorter than that,
// and whose table had room, is the audit of a capture of the same frames.
//
// A look takes copies of that Policy and that Tally, and goes through the flows
// at hand twice, as a run does at its end: once to learn, once to judge. It does
// so in small steps between the batches, and what needs no flow in a goroutine
// of its own, for the packets that come meanwhile must not wait for long.
type monitor struct {
	job   *job
	src   pcaps.Source
	table *flows.Table
	tally *rules.Tally // of what is settled for good
	keep  time.Duration
	least time.Duration      // between two looks
	show  func(*rules.Audit) // is told of every look's
	// judged is told of every flow and its verdict in a look, when the Tally has
	// counted it; nil where nobody asks.
	judged func(*flows.Flow, *rules.Verdict, *rules.Tally)
	given  func() // is told that a look was given up

	look     flows.Look
	phase    phase
	policy   *rules.Policy // the copies
	counted  *rules.Tally
	verdict  rules.Verdict
	away     chan result   // from the goroutine; nil where none is at work
	now      int64         // by packet time, when the look began
	stale    int           // looks in a row that flows were settled under
	packets  uint64        // that had come when the look began
	alike    int           // looks in a row at the same packets
	seen     uint64        // packets of the last of these
	flows    int           // that were at hand then
	spent    time.Duration // on this look
	due      time.Time     // of the next one, at the earliest
	ended    time.Time     // when the last one did
	took     time.Time     // when the table began to take the last batch
	busy     time.Duration // that the table took for packets since the last look
	resume   time.Time     // of the next step
	retireAt int64         // by packet time
	back     clockBack
}

// result is what the goroutine has done.
type result struct {
	audit *rules.Audit
	took  time.Duration
}

// phase is how far a look has come.
type phase uint8

const (
	waiting phase = iota
	observing
	settling // in the goroutine
	judging
	summing // likewise
)

const (
	refreshLeast = time.Second          // between two looks, as a rule
	refreshShare = 50                   // times as long as a look takes is the least time between two: 2 % of all
	refreshWork  = 10                   // times as long as a look takes the packets take before the next one,
	refreshFlow  = 5 * time.Microsecond // that a flow takes in a look which was not in the one before
	refreshSpare = 500                  // or nothing much is to be saved: looks are 0.2 % of all,
	refreshLate  = 10                   // or so many times the least time between two has passed
	stepFlows    = 1 << 10              // flows of one step: about a millisecond
	stepShare    = 7                    // times as long as a step takes the packets have for themselves, when there are many
	maxStale     = 2                    // looks that are given up before one is done in one piece
	retireEvery  = int64(10 * time.Second)
)

// clockBack says how often the clock of the packets went back, and how far.
type clockBack struct {
	times uint64
	most  int64 // nanoseconds
}

// clockSlack is how far the clock goes back without anybody having set it:
// packets of several processors and interfaces come a little out of order.
const clockSlack = int64(2 * time.Second)

// follow watches the clock of a batch, before the table takes it.
func (m *monitor) follow(batch []pcaps.Packet) {
	if m.took = (time.Time{}); len(batch) > 0 {
		m.took = time.Now()
	}
	now := m.table.Now()
	for i := range batch {
		if t := batch[i].Time; t < now-clockSlack {
			m.back.times++
			m.back.most = max(m.back.most, now-t)
			m.table.Rewind(t)
			m.retireAt = 0
			now = t
		} else {
			now = max(now, t)
		}
	}
}

// after is called behind each batch; full says that more packets wait already.
func (m *monitor) after(now time.Time, full bool) {
	if !m.took.IsZero() {
		m.busy += now.Sub(m.took)
	}
	if packets := m.table.Now(); packets >= m.retireAt {
		if m.retireAt != 0 {
			m.table.Retire(packets - int64(m.keep))
		}
		m.retireAt = packets + retireEvery
	}
	if m.phase == waiting && !m.isDue(now) || full && now.Before(m.resume) {
		return
	}
	if m.phase == waiting && m.alike >= settledIn && m.seen == m.table.Stats().Packets {
		m.due = now.Add(m.least) // nothing came, so it would be the looks before
		return
	}
	m.step(now)
}

// isDue says whether it is time for the next look. Beside packets that cost much it
// comes soon; where there are few of them, looks at all that is at hand would be
// most of what a run costs.
func (m *monitor) isDue(now time.Time) bool {
	if now.Before(m.due) {
		return false
	}
	held, _ := m.table.Held()
	takes := m.spent + time.Duration(max(held-m.flows, 0))*refreshFlow
	since := now.Sub(m.ended)
	return since >= refreshShare*m.spent &&
		(m.busy >= refreshWork*takes || since >= min(refreshSpare*takes, refreshLate*m.least))
}

// rest is what a look ends with.
func (m *monitor) rest(now time.Time) {
	m.ended, m.due, m.busy = now, now.Add(m.least), 0
}

// step goes on with a look, or begins one.
func (m *monitor) step(began time.Time) {
	if m.phase > waiting && m.phase < summing && m.look.Stale() {
		m.stop()
		m.stale++
		m.given()
	}
	whole := m.stale >= maxStale
	for m.advance(whole) && whole && m.phase != waiting {
	}
	now := time.Now()
	took := now.Sub(began)
	m.spent += took
	m.resume = now.Add(stepShare * took)
	if m.phase == waiting {
		m.rest(now)
	}
}

// advance does a little more of a look. It says false when there is nothing to do
// as long as the goroutine is at work, for which it waits when asked to.
func (m *monitor) advance(wait bool) bool {
	switch m.phase {
	case waiting:
		m.policy = m.job.policy.Clone()
		m.counted = m.tally.Clone(m.policy)
		m.table.Look(&m.look)
		m.now, m.packets, m.flows = m.table.Now(), m.table.Stats().Packets, m.look.Len()
		m.spent = 0
		m.phase = observing
	case observing:
		if m.look.Next(stepFlows, func(f *flows.Flow) bool { m.policy.Observe(f); return true }) {
			break
		}
		m.policy.At(m.now)
		m.phase = settling
		m.aside(func() *rules.Audit { m.policy.Settle(); return nil })
	case judging:
		more := m.look.Next(stepFlows, func(f *flows.Flow) bool {
			m.policy.Judge(f, &m.verdict)
			m.counted.Add(f, &m.verdict)
			if m.judged != nil {
				m.judged(f, &m.verdict, m.counted)
			}
			return true
		})
		if more {
			break
		}
		m.phase = summing
		cov := m.job.coverage(m.src, m.table)
		m.aside(func() *rules.Audit { return m.counted.Audit(cov) })
	case settling, summing:
		var r result
		if wait {
			r = <-m.away
		} else {
			select {
			case r = <-m.away:
			default:
				return false
			}
		}
		m.away = nil
		m.spent += r.took
		if m.phase == settling {
			m.phase = judging
			m.look.Again()
			break
		}
		m.phase, m.stale = waiting, 0
		m.policy, m.counted = nil, nil
		if m.alike++; m.packets != m.seen {
			m.seen, m.alike = m.packets, 1
		}
		m.show(r.audit)
	}
	return true
}

// aside has a goroutine do what needs neither table nor source.
func (m *monitor) aside(do func() *rules.Audit) {
	away := make(chan result, 1)
	m.away = away
	go func() {
		began := time.Now()
		audit := do()
		away <- result{audit, time.Since(began)}
	}()
}

// stop gives the look at hand up, and waits for the goroutine.
func (m *monitor) stop() {
	if m.away != nil {
		<-m.away
		m.away = nil
	}
	m.phase = waiting
	m.policy, m.counted = nil, nil
}
