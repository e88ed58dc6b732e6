package dissect

import "testing"

func TestICMPEcho(t *testing.T) {
	const request, reply = "0800 0000 0001 ", "0000 0000 0001 "
	var s State
	set := NewSet(All(), &Context{}, 100)
	at := func(ms float64, dir Dir, b string) {
		s.Now = int64(ms * 1e6)
		s.Data(set, ICMP, dir, [2]uint16{}, true, unhex(b))
	}
	at(1000, ToServer, request+"0001")
	at(1030, ToClient, reply+"0001")
	at(2000, ToServer, request+"0002")
	at(2020.5, ToClient, reply+"0002")
	at(2021, ToClient, reply+"0002") // again: of no request
	at(3000, ToServer, request+"0003")
	at(3001, ToServer, reply+"0003")          // not from the other end
	at(3002, ToClient, "0000 0000 0002 0003") // another identifier
	at(2999, ToClient, reply+"0003")          // before the request: clocks jump
	for i := range maxEchoes {
		at(4000, ToServer, request+"000"+string(rune('0'+i)))
	}
	at(4060, ToClient, reply+"0003")
	s.Close(set)
	if rtt, _ := s.Get(ICMPRTT); rtt.Num != 20500000 {
		t.Errorf("least round trip %d millionths of a millisecond, want 20500000", rtt.Num)
	}
	if got := factsOf(&s); listed(got, "icmp.type") != "8/0 0/0" {
		t.Errorf("facts:\n%s", got)
	}
}
