// Package flows turns packets into flows. decode.go reads the headers of a
// frame, whatever it is wrapped in, into a segment; a Table finds the segment's
// flow, counts it, follows TCP, and delivers the payload in order to the flow's
// dissection until that has seen enough.
//
// A Table belongs to one goroutine and has no lock. Its time is the latest
// packet time seen, so that a year-old capture behaves as a live one, and the
// same packets give the same flows every time.
package flows
