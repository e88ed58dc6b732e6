package rules

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"wirechart/flows"
	"wirechart/pcaps"
)

// learnedAndCounted is a Policy and a Tally that have something in every one of
// their places.
func learnedAndCounted(t *testing.T) (*Policy, *Tally) {
	t.Helper()
	p := testPolicy(t, "")
	tally := NewTally(p)
	all := append(site(),
		dnsSays("cloud.acronis.com", tCloud.String()), dnsSays("a.acronis.com", tCloud.String()), dnsSays("b.acronis.com", tCloud.String()),
		flow(tAgent1, tBG, 44445, unanswered),
		flow(tAgent1, tSN, 9876, mutual("tls.sni=sn.example")),
		flow(tAgent1, tCloud, 0, echo),
		flow(tAgent1, tOther, 0, echo),
		flow(tAgent1, tCloud, 443, tls("tls.sni=cloud.acronis.com")),
		flow(tAgent1, tSN, 111, speaks("portmap", "rpc.mapped=100003/3 tcp/2049")))
	for port := range uint16(12) {
		all = append(all, flow(tRogue, tMS, 20+port, unanswered))
	}
	for i, client := range []netip.Addr{tAgent1, netip.MustParseAddr("10.0.0.254")} {
		f := flow(client, tMS, 7780, curve)
		f.TCP.ISN, f.TCP.TTL[0] = [2]uint32{0x12345678, 0x9abcdef0}, uint8(64-i)
		f.Frame += pcaps.FrameID(1000 + i)
		all = append(all, f)
	}
	settle(p, tally, all)
	for name, empty := range map[string]bool{
		"hosts": len(p.order) == 0, "links": len(p.lines) == 0, "mapped": len(p.mapped) == 0,
		"answered": len(p.names.answered) == 0, "names": len(p.names.of) == 0, "scanners": len(p.probes.scanners) == 0,
		"sessions": len(p.sessions.list) == 0, "translated": len(p.translated.pairs) == 0 || len(p.translated.names) == 0, "groups": len(tally.groups) == 0, "crowds": len(tally.crowds) == 0, "choosers": len(tally.choosers) == 0,
	} {
		if empty {
			t.Fatalf("no %s: the test would not see whether they are shared", name)
		}
	}
	return p, tally
}

// settle is what a run does with flows.
func settle(p *Policy, tally *Tally, all []*flows.Flow) {
	for _, f := range all {
		p.Observe(f)
	}
	p.Settle()
	var v Verdict
	for _, f := range all {
		p.Judge(f, &v)
		tally.Add(f, &v)
	}
}

// TestCloneSharesNothingThatChanges walks over all that a Policy and a Tally
// refer to: what their copies refer to as well must be what Compile made, or
// what has no place left to be written to.
func TestCloneSharesNothingThatChanges(t *testing.T) {
	p, tally := learnedAndCounted(t)
	c := p.Clone()
	ct := tally.Clone(c)
	fixed := map[reflect.Type]bool{}
	for _, v := range []any{Diagram{}, Inventory{}, HostPin{}, service{}, edge{}, Edge{}, Component{}, []edge{}, []part{}, []*service{}, []requirement{}, []candidate{},
		[]PortRange{}, map[onPort]Reason{}, map[*Edge]*edge{}, []*Component{}, []string{}, netip.Addr{}} {
		fixed[reflect.TypeOf(v)] = true
	}
	theirs := map[uintptr]string{}
	walk(reflect.ValueOf(p).Elem(), "policy", fixed, map[uintptr]bool{}, func(at uintptr, path string) { theirs[at] = path })
	walk(reflect.ValueOf(tally).Elem(), "tally", fixed, map[uintptr]bool{}, func(at uintptr, path string) { theirs[at] = path })
	seen := map[uintptr]bool{}
	places := 0
	check := func(at uintptr, path string) {
		places++
		if where := theirs[at]; where != "" {
			t.Errorf("%s of the copy is %s", path, where)
		}
	}
	walk(reflect.ValueOf(c).Elem(), "policy", fixed, seen, check)
	walk(reflect.ValueOf(ct).Elem(), "tally", fixed, seen, check)
	if places < 100 {
		t.Errorf("only %d places were looked at", places)
	}
}

// walk tells of every pointer, map and slice with room or elements that may
// change, reached from v. Elements of a slice without pointers are not looked at.
func walk(v reflect.Value, path string, fixed map[reflect.Type]bool, seen map[uintptr]bool, tell func(at uintptr, path string)) {
	if fixed[v.Type()] {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || fixed[v.Type().Elem()] || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		tell(v.Pointer(), path)
		walk(v.Elem(), path, fixed, seen, tell)
	case reflect.Map:
		if v.IsNil() {
			return
		}
		tell(v.Pointer(), path)
		for i := v.MapRange(); i.Next(); {
			value := i.Value()
			// A list that only grows may be shared where it has no room left.
			if value.Kind() == reflect.Slice && value.Cap() == value.Len() {
				continue
			}
			walk(value, path+"[]", fixed, seen, tell)
		}
	case reflect.Slice:
		if v.Cap() == 0 || v.Type().Elem().Kind() == reflect.Struct && v.Type().Elem().Name() == "Addr" && v.Cap() == v.Len() {
			return
		}
		tell(v.Pointer(), path)
		for i := range v.Len() {
			walk(v.Index(i), path+"[]", fixed, seen, tell)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), path+"."+v.Type().Field(i).Name, fixed, seen, tell)
		}
	}
}

// TestCloneGoesItsOwnWay lets a copy see more, and holds both against what they
// are to be.
func TestCloneGoesItsOwnWay(t *testing.T) {
	more := func() []*flows.Flow {
		return []*flows.Flow{
			flow(tAgent3, tMS, 7780, curve), flow(tAgent3, tSN, 9876, mutual()), flow(tAgent3, tMS, 8443),
			dnsSays("dl.acronis.com", tCloud.String()), flow(tAgent1, tCloud, 443, tls("tls.sni=elsewhere.example")),
			flow(tAgent1, tSN, 111, speaks("portmap", "rpc.mapped=100005/3 tcp/2049")),
		}
	}
	text := func(p *Policy, tally *Tally) string {
		a := tally.Audit(Coverage{})
		s := ""
		for _, h := range a.Hosts {
			s += fmt.Sprintf("%+v\n", h)
		}
		for _, f := range append(a.Findings, a.Concerns...) {
			s += fmt.Sprintf("%+v\n", f)
		}
		for _, e := range a.Edges {
			s += fmt.Sprintf("%s %s %v %s\n", e.Edge.ID, e.Status, e.Verdicts, e.Example)
		}
		return s + fmt.Sprintf("%v %+v %v", a.Verdicts, a.Choices, a.Notes)
	}
	p, tally := learnedAndCounted(t)
	before := text(p, tally)

	c := p.Clone()
	ct := tally.Clone(c)
	if got := text(c, ct); got != before {
		t.Errorf("the copy says\n%s\nand what it is of\n%s", got, before)
	}
	settle(c, ct, more())
	after := text(c, ct)
	if after == before {
		t.Fatal("the copy learned nothing")
	}
	if got := text(p, tally); got != before {
		t.Errorf("the copy changed what it is of: it says\n%s\nand said\n%s", got, before)
	}
	settle(p, tally, more())
	if got := text(p, tally); got != after {
		t.Errorf("the same flows make of the one\n%s\nand of its copy\n%s", got, after)
	}
}

// TestCloneCarries says that what a finding's traffic is told to be is each copy's
// own, however many places its list has left.
func TestCloneCarries(t *testing.T) {
	other := func(app string) *flows.Flow { return flow(tAgent1, tRogue, 3128, speaks(app)) }
	tally := tallied(t, other("a"), other("b"), other("c"))
	p := tally.p.Clone()
	c := tally.Clone(p)
	var v Verdict
	f := other("d")
	tally.p.Judge(f, &v)
	tally.Add(f, &v)
	f = other("e")
	p.Judge(f, &v)
	c.Add(f, &v)
	for want, x := range map[string]*Tally{"a b c d": tally, "a b c e": c} {
		if got := strings.Join(x.order[0].carried, " "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
