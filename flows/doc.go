// Package flows turns packets into flows. decode.go reads the headers of a
// frame, whatever it is wrapped in, into a segment; a Table finds the segment's
// flow, counts it, follows TCP, and delivers the payload in order to the flow's
// dissection until that has seen enough. ahead.go takes the packets of a batch
// through these steps in groups, so that memory comes while others are counted.
//
// A Table belongs to one goroutine and has no lock. Its time is the latest
// packet time seen, so that a year-old capture behaves as a live one, and the
// same packets give the same flows every time.
//
// Captures are not tidy. Of bytes that come twice, in segments or in fragments,
// the first copy counts: what was delivered is not taken back, and of what is
// held until a hole before it closes, a later copy fills only what is missing
// (the letter I or i in the history where it has other bytes). A host may have
// kept the other copy; passively that cannot be known. IPv6 datagrams whose
// fragments overlap are dropped, as hosts do (RFC 5722). A frame that a mirror
// delivered twice is counted, and is nothing else.
//
// Beside the Table stand what some commands need and the ordinary path does not
// know of: a Look goes through the flows that a Table holds while packets still
// come (live), a Recall keeps the first frames of recent flows (live --evidence), a
// Sieve and a Watch find the packets of some flows when captures are read again
// (flows -w, explain), and a Vantage notes what Compare needs to find a flow again
// in a capture from the other side of a firewall (compare).
package flows
