package flows

import "slices"

// Clock is how far the clock at the outside is ahead of that inside, as far as
// packets that both places saw can tell.
//
// A packet that goes out shows offset plus delay, one that comes in offset less
// delay. The fastest of each way bound the offset from both sides; where in
// between it lies cannot be known, as no clock says how the time there and back
// is divided. The middle is taken: that is right when the fastest packet takes
// as long out as in. The sum of both, the time there and back, is certain.
type Clock struct {
	Known     bool  // packets went both ways
	Given     bool  // Offset was told: the delay of each way is known
	Guessed   bool  // the packets in common look all alike: Offset is what makes the most of them fit, and delays are not known
	OneWay    bool  // only one way: Offset still has the least delay in it
	Unsteady  bool  // the clocks do not keep to one offset and one drift: Error holds what they differ by
	Offset    int64 // nanoseconds, in the middle of the time compared
	Error     int64 // the offset lies within Offset ± Error
	Drift     float64
	RoundTrip int64     // the least time from inside to outside and back
	Samples   [2]uint64 // packets from inside to outside, from outside to inside

	mid int64
}

// at is the offset at a time by the clock inside. Drift is in parts per million.
func (c *Clock) at(t int64) int64 {
	if c.Drift == 0 {
		return c.Offset
	}
	return c.Offset + int64(c.Drift*float64(t-c.mid)/1e6)
}

// Delay is what the packets of one direction took.
type Delay struct {
	Packets          uint64
	Min, Median, P95 int64 // nanoseconds
}

func delayOf(list []int64) Delay {
	if len(list) == 0 {
		return Delay{}
	}
	slices.Sort(list)
	// Of two packets the faster one: one that is late makes no flow slow.
	return Delay{uint64(len(list)), list[0], list[(len(list)-1)/2], list[min(len(list)*95/100, len(list)-1)]}
}

// clockSample is one packet: when it was inside, and by how much the clock
// outside was ahead of that.
type clockSample struct{ t, d int64 }

// setClock estimates the clock from the flows that are joined.
func (c *comparer) setClock() {
	c.Packets = 0
	for _, x := range c.joined {
		for d := range x.dirs {
			c.Packets += uint64(len(x.dirs[d].meetings))
		}
	}
	samples := c.clockSamples(func(k *meeting) bool { return k.timed })
	guessed := len(samples[0])+len(samples[1]) == 0
	if guessed {
		samples = c.clockSamples(func(*meeting) bool { return true })
	}
	if len(samples[0])+len(samples[1]) == 0 {
		return
	}
	c.Clock = clockOf(samples)
	if guessed {
		c.Clock.Guessed, c.Clock.Known, c.Clock.OneWay = true, false, false
	}
	if o := c.options.Offset; o != nil {
		c.Clock.Known, c.Clock.OneWay, c.Clock.Given, c.Clock.Guessed = true, false, true, false
		c.Clock.Offset, c.Clock.Error, c.Clock.Drift = *o, 0, 0
	}
}

// clockSamples are those of the packets in common that takes says yes to.
func (c *comparer) clockSamples(takes func(k *meeting) bool) (samples [2][]clockSample) {
	var all []int64
	sure := slices.ContainsFunc(c.joined, (*Crossing).decideClient)
	for _, x := range c.joined {
		if !x.decideClient() && sure {
			continue
		}
		for d := range 2 {
			travel := int(x.Client) ^ d
			for i := range x.dirs[d].meetings {
				if k := &x.dirs[d].meetings[i]; takes(k) {
					samples[travel] = append(samples[travel], clockSample{k.in, k.out - k.in})
					all = append(all, k.out-k.in)
				}
			}
		}
	}
	if len(all) == 0 {
		return samples
	}
	slices.Sort(all)
	middle := all[len(all)/2]
	for travel := range samples {
		samples[travel] = slices.DeleteFunc(samples[travel], func(s clockSample) bool {
			return s.d-middle > maxOutlier || middle-s.d > maxOutlier
		})
	}
	return samples
}

// rematch pairs the packets that look alike by time, now that the clocks are known, or
// by the offset that makes the most of them fit. It says whether there are any.
func (c *comparer) rematch() bool {
	again := slices.DeleteFunc(slices.Clone(c.joined), func(x *Crossing) bool { return !x.dirs[0].alike && !x.dirs[1].alike })
	if len(again) == 0 {
		return false
	}
	ahead := c.Clock.at
	if c.Clock.Guessed {
		offset := fit(again)
		ahead = func(int64) int64 { return offset }
	}
	for _, x := range again {
		x.match(ahead)
	}
	return true
}

// fit is by how much the clock outside may be ahead: the clocks may agree, or both
// captures hold the first of what looks alike, or both the last.
func fit(list []*Crossing) int64 {
	var in, out []int64
	for _, x := range list {
		for d := range x.dirs {
			for i := range x.dirs[d].marks[Inside] {
				in = append(in, x.dirs[d].marks[Inside][i].time)
			}
			for i := range x.dirs[d].marks[Outside] {
				out = append(out, x.dirs[d].marks[Outside][i].time)
			}
		}
	}
	slices.Sort(in)
	slices.Sort(out)
	best, most := int64(0), -1
	for _, offset := range [...]int64{0, out[0] - in[0], out[len(out)-1] - in[len(in)-1]} {
		n := 0
		for _, t := range in {
			const near = second / 10
			if k, _ := slices.BinarySearch(out, t+offset-near); k < len(out) && out[k] <= t+offset+near {
				n++
			}
		}
		if n > most {
			best, most = offset, n
		}
	}
	return best
}

// clockOf estimates offset and drift: samples[0] went from inside to outside.
func clockOf(samples [2][]clockSample) Clock {
	c := Clock{Samples: [2]uint64{uint64(len(samples[0])), uint64(len(samples[1]))}}
	if c.Samples[0] == 0 && c.Samples[1] == 0 {
		return c
	}
	first, last := int64(1<<63-1), int64(-1<<63)
	for _, list := range samples {
		for _, s := range list {
			first, last = min(first, s.t), max(last, s.t)
		}
	}
	c.mid = first + (last-first)/2
	if c.Samples[0] > 0 && c.Samples[1] > 0 {
		c.Drift = driftOf(samples, first, last)
	}
	low, high := int64(-1<<63), int64(1<<63-1)
	for _, s := range samples[0] {
		high = min(high, s.d-c.drifted(s.t))
	}
	for _, s := range samples[1] {
		low = max(low, s.d-c.drifted(s.t))
	}
	switch {
	case c.Samples[1] == 0:
		c.OneWay, c.Offset = true, high
	case c.Samples[0] == 0:
		c.OneWay, c.Offset = true, low
	default:
		c.Known = true
		c.Offset = low + (high-low)/2
		if high >= low {
			c.RoundTrip, c.Error = high-low, (high-low)/2
		} else {
			c.Unsteady, c.Error = true, (low-high)/2
		}
	}
	return c
}

// drifted is what drift has added at a time.
func (c *Clock) drifted(t int64) int64 { return int64(c.Drift * float64(t-c.mid) / 1e6) }

// driftOf is by how many parts per million the clock outside runs faster: the
// middle of the slopes between the offsets of stretches of time (H. Theil 1950,
// P. Sen 1968), each from the fastest packets of the stretch. It is 0 where the
// offsets of the stretches do not differ by more than they are uncertain.
func driftOf(samples [2][]clockSample, first, last int64) float64 {
	const (
		stretches = 16
		shortest  = 20 * second
		fewest    = 4
	)
	span := last - first
	if span < shortest {
		return 0
	}
	type bound struct {
		low, high   int64
		hasL, hasH  bool
		sumT, sampl float64 // nanoseconds of a week, ten thousand times, are too many for an integer
	}
	var list [stretches]bound
	for travel, part := range samples {
		for _, s := range part {
			b := &list[min((s.t-first)/(span/stretches+1), stretches-1)]
			if travel == 0 && (!b.hasH || s.d < b.high) {
				b.high, b.hasH = s.d, true
			}
			if travel == 1 && (!b.hasL || s.d > b.low) {
				b.low, b.hasL = s.d, true
			}
			b.sumT += float64(s.t - first)
			b.sampl++
		}
	}
	type point struct{ t, offset, half float64 }
	var points []point
	for _, b := range list {
		if b.hasL && b.hasH {
			points = append(points, point{b.sumT / b.sampl, float64(b.low)/2 + float64(b.high)/2, float64(b.high-b.low) / 2})
		}
	}
	if len(points) < fewest {
		return 0
	}
	var slopes, halves []float64
	base := points[0].offset
	for i := range points {
		halves = append(halves, max(points[i].half, -points[i].half))
		for j := range i {
			if dt := points[i].t - points[j].t; dt > 0 {
				slopes = append(slopes, ((points[i].offset-base)-(points[j].offset-base))/dt)
			}
		}
	}
	slices.Sort(slopes)
	slices.Sort(halves)
	slope := slopes[len(slopes)/2]
	if change := slope * float64(span); max(change, -change) < 2*halves[len(halves)/2] {
		return 0
	}
	return slope * 1e6
}
