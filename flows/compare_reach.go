package flows

import "slices"

// reach is which bytes of one direction of a TCP flow passed a place, whatever
// segments carried them: two places may see other segments of the same bytes,
// where an interface or a device between cuts them anew, and marks are a sample.
// Positions are counted from the first sequence number, beyond 2^32.
type reach struct {
	base  uint32
	list  []interval // in order, none touches another
	since int64      // what is below is not known: there was no room for so many holes
}

// maxReach is how many runs of bytes are kept of one direction.
const maxReach = 64

// position is where a sequence number is, nearest to the end of what was seen.
func (r *reach) position(seq uint32) int64 {
	end := int64(0)
	if n := len(r.list); n > 0 {
		end = r.list[n-1].high
	}
	return end + int64(int32(seq-(r.base+uint32(end))))
}

// add takes n bytes from seq on.
func (r *reach) add(seq, n uint32) {
	if len(r.list) == 0 {
		r.base = seq
	}
	v := interval{r.position(seq), 0}
	v.high = v.low + int64(n)
	last := len(r.list) - 1
	if last >= 0 && v.low <= r.list[last].high && v.low >= r.list[last].low {
		r.list[last].high = max(r.list[last].high, v.high)
		return
	}
	i, _ := slices.BinarySearchFunc(r.list, v.low, func(e interval, low int64) int {
		if e.high < low {
			return -1
		}
		return 1
	})
	j := i
	for j < len(r.list) && r.list[j].low <= v.high {
		v.low, v.high = min(v.low, r.list[j].low), max(v.high, r.list[j].high)
		j++
	}
	r.list = slices.Replace(r.list, i, j, v)
	if len(r.list) > maxReach {
		r.since = r.list[1].low
		r.list = slices.Delete(r.list, 0, 1)
	}
}

// holds says whether all of n bytes from seq on passed; known is false where that
// has been forgotten.
func (r *reach) holds(seq, n uint32) (all, known bool) {
	if len(r.list) == 0 {
		return false, true
	}
	low := r.position(seq)
	if low < r.since {
		return false, false
	}
	return covers(r.list, interval{low, low + int64(n)}), true
}
