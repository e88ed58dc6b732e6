package dissect

import (
	"slices"
	"strings"
	"testing"
)

// TestPackedFacts: what a Result shows is what the State had learned.
func TestPackedFacts(t *testing.T) {
	set := NewSet(All(), &Context{}, 1<<20)
	var state State
	for _, f := range []struct {
		frame uint64
		tell  func()
	}{
		{1, func() { state.SetText(TLSSNI, "") }},
		{1<<56 - 1, func() { state.SetText(TLSCertCN, strings.Repeat("x", maxTextSize+1)) }},
		{0, func() { state.Count(HTTPRequests, 1<<62) }},
		{300, func() { state.SetNum(ICMPRTT, -7) }},
		{299, func() { state.CountPair(ZMTPMessages, ToClient, 1<<32-1) }},
		{5, func() { state.SetFlag(TLSCertRequest, false) }},
		{5, func() { state.SetFlag(TLSECH, true) }},
		{6, func() { state.AddNum(HTTPStatus, 404) }},
		{6, func() { state.AddNum(HTTPStatus, -1<<63) }},
		{7, func() { state.AddText(DNSQName, "a.example") }},
		{8, func() { state.AddText(DNSQName, "\x00\xff") }},
	} {
		state.Frame = f.frame
		f.tell()
	}
	want := slices.Clone(state.All())
	result := state.Conclude(set)
	state.Reset()
	state.SetText(TLSSNI, "of another flow")

	var facts Facts
	facts.SetText(TLSVersion, "left over")
	for range 2 {
		result.Show(&facts)
		if !slices.Equal(facts.All(), want) {
			t.Fatalf("shown:\n%v\nlearned:\n%v", facts.All(), want)
		}
	}
	if facts.Has(TLSVersion) || !facts.Has(TLSECH) || facts.Has(TLSCertRequest) || facts.Text(DNSQName) != "a.example" {
		t.Error("what is known was not taken over")
	}
}

// TestEmptyResult: nothing learned takes nothing.
func TestEmptyResult(t *testing.T) {
	set := NewSet(All(), &Context{}, 1<<20)
	var state State
	result := state.Conclude(set)
	var facts Facts
	facts.SetText(TLSVersion, "left over")
	result.Show(&facts)
	if result.packed != "" || result.Protocol() != "" || len(facts.All()) > 0 || facts.Has(TLSVersion) {
		t.Errorf("%q, %v", result.packed, facts.All())
	}
}
