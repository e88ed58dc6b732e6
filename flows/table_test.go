package flows

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// The first three packets of most scripts.
const handshake = `
	0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
	0.010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
	0.030 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501
`

func TestTable(t *testing.T) {
	for _, c := range []struct {
		name   string
		script string
		want   string // flows
		log    string // what the dissector was given, one line an event
	}{
		{"S0: a SYN, sent again", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			1.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			3.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S0 S syn capture_end 3/0 syns=3`, ``},
		{"S1: open when the capture ends", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.050 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=106
			0.060 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=106 data=world!`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADad syn capture_end 3/3 payload=5/6 rtt=30ms`,
			`> hello
			< world!`},
		{"SF: closed by both", handshake + `
			1.000 10.0.0.1:4000 > 10.0.0.2:80 FA seq=101 ack=501
			1.010 10.0.0.2:80 > 10.0.0.1:4000 FA seq=501 ack=102
			1.020 10.0.0.1:4000 > 10.0.0.2:80 A seq=102 ack=502`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp SF ShAFf syn closed 4/2 rtt=30ms`, ``},
		{"REJ: refused", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.1 10.0.0.2:80 > 10.0.0.1:4000 RA seq=0 ack=101 ttl=55`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp REJ Sr syn reset 1/1 reset=server@2,ttl=55`, ``},
		{"a reset of the host has the host's TTL and fits", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.050 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=106 ttl=126
			0.060 10.0.0.2:80 > 10.0.0.1:4000 R seq=501 ttl=126`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTR ShADar syn reset 3/3 payload=5/0 rtt=30ms reset=server@6,ttl=126 ttl=64/126`,
			`> hello`},
		{"a reset behind what the capture lacks of both ends", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.050 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=106
			0.060 10.0.0.1:4000 > 10.0.0.2:80 RA seq=114 ack=561`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTO ShADaR syn reset 4/2 payload=5/0 rtt=30ms reset=client@6,ttl=64 unseen> unseen< lost`,
			`
			> hello
			> gap 7
			< gap 59`},
		{"a reset that comes before what it is behind", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.041 10.0.0.1:4000 > 10.0.0.2:80 R seq=110
			0.042 10.0.0.1:4000 > 10.0.0.2:80 PA seq=106 ack=501 data=last`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTO ShADR syn reset 5/1 payload=9/0 rtt=30ms reset=client@5,ttl=64`, `
			> hello
			> last`},
		{"a reset that does not fit the stream", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.060 10.0.0.2:80 > 10.0.0.1:4000 R seq=90000501 ttl=61`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTR ShADr syn reset 3/2 payload=5/0 rtt=30ms reset=server@5,ttl=61 odd`,
			`> hello`},
		{"a reset that acknowledges another SYN", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.1 10.0.0.2:80 > 10.0.0.1:4000 RA seq=0 ack=7101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp REJ Sr syn reset 1/1 reset=server@2,ttl=64 odd`, ``},
		{"a reset that acknowledges nothing", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.1 10.0.0.2:80 > 10.0.0.1:4000 R seq=0`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp REJ Sr syn reset 1/1 reset=server@2,ttl=64 odd`, ``},
		{"a large segment is lost, the small one behind it arrives", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=1400
			0.041 10.0.0.1:4000 > 10.0.0.2:80 PA seq=1501 ack=501 len=20
			0.050 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=101 sack=1501-1521
			0.250 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=1400
			0.750 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=1400`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADaT syn capture_end 6/2 payload=4220/0 again=2/0 rtt=30ms unanswered>2 large>`, ``},
		{"as much arrives behind the lost segment: its size is no reason", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=1400
			0.041 10.0.0.1:4000 > 10.0.0.2:80 PA seq=1501 ack=501 len=1400
			0.050 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=101 sack=1501-2901
			0.250 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=1400`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADaT syn capture_end 5/2 payload=4200/0 again=1/0 rtt=30ms unanswered>1`, ``},
		{"a closed window, probed and opened again", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=30
			0.050 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=131 win=0
			0.300 10.0.0.1:4000 > 10.0.0.2:80 A seq=131 ack=501 len=1
			0.300 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=131 win=0
			0.700 10.0.0.1:4000 > 10.0.0.2:80 A seq=131 ack=501 len=1
			0.700 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=131 win=0
			1.550 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=131 win=9000`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADaw syn capture_end 5/5 payload=32/0 rtt=30ms shut<1.5s@5`, ``},
		{"a closed window that stays so", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=30
			0.050 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=131 win=0
			4.050 10.0.0.1:4000 > 10.0.0.2:80 A seq=131 ack=501 len=1`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADaw syn capture_end 4/2 payload=31/0 rtt=30ms shut<4s@5+`, ``},
		{"waiting for an answer is no idleness", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.050 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=106 data=world
			0.060 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=506
			7.060 10.0.0.1:4000 > 10.0.0.2:80 PA seq=106 ack=506 data=again
			19.060 10.0.0.1:4000 > 10.0.0.2:80 PA seq=106 ack=506 data=again`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADdT syn capture_end 6/2 payload=15/5 again=1/0 rtt=30ms unanswered>1 idle=7s@7`, ``},
		{"FIN and RST at once contradict each other", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 FRA seq=101 ack=501`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTO ShARI syn reset 3/1 rtt=30ms reset=client@4,ttl=64`, ``},
		{"the end of what the server sent is missing", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.090 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=901`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 4/1 payload=5/0 rtt=30ms unseen< lost`, ``},
		{"refused before the SYN came, in a capture out of order", `
			0.1 10.0.0.2:80 > 10.0.0.1:4000 RA seq=0 ack=101 ttl=55
			0.1 10.0.0.1:4000 > 10.0.0.2:80 S seq=100`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp REJ Sr syn reset 1/1 reset=server@1,ttl=55`, ``},
		{"likewise, each with a mirror's copy", `
			0.1000 10.0.0.2:80 > 10.0.0.1:4000 RA seq=0 ack=101 ttl=55
			0.1001 copy
			0.1002 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.1003 copy`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp REJ rS syn reset 2/2 copies=1/1 reset=server@1,ttl=55 routed>`, ``},
		{"a SYN behind its refusal, which a mirror doubled: the same attempt", `
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0001 copy
			0.0002 10.0.0.2:80 > 10.0.0.1:4000 RA seq=0 ack=101 ttl=55
			0.5000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp REJ Sr syn reset 3/1 copies=1/0 syns=2 reset=server@3,ttl=55`, ``},
		{"a SYN-ACK behind the RST that refuses it is no answer to a second SYN", `
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0001 10.0.0.1:4000 > 10.0.0.2:80 R seq=101
			0.0002 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTO SRh syn reset 2/1 reset=client@2,ttl=64`, ``},
		{"a SYN behind a reset of another connection", `
			0.1 10.0.0.2:80 > 10.0.0.1:4000 RA seq=0 ack=901
			0.1 10.0.0.1:4000 > 10.0.0.2:80 S seq=100`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp OTH r protocol reset 0/1 reset=server@1,ttl=64
			10.0.0.1:4000 > 10.0.0.2:80 tcp S0 S syn capture_end 1/0`, ``},
		{"many segments sent again at once are one attempt", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=4
			0.041 10.0.0.1:4000 > 10.0.0.2:80 A seq=105 ack=501 len=4
			0.042 10.0.0.1:4000 > 10.0.0.2:80 A seq=109 ack=501 len=4
			0.300 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=4
			0.301 10.0.0.1:4000 > 10.0.0.2:80 A seq=105 ack=501 len=4
			0.302 10.0.0.1:4000 > 10.0.0.2:80 A seq=109 ack=501 len=4`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADT syn capture_end 8/1 payload=24/0 again=3/0 rtt=30ms unanswered>1`, ``},
		{"segments that come back within milliseconds are one attempt", handshake + `
			0.0400 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=4
			0.0410 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=4
			0.0420 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=4
			0.0415 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=4
			0.2410 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=4`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADT syn capture_end 7/1 payload=20/0 again=4/0 rtt=30ms unanswered>2`, ``},
		{"S2: the client closed", handshake + `
			1.0 10.0.0.1:4000 > 10.0.0.2:80 FA seq=101 ack=501
			1.1 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=102`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S2 ShAFa syn capture_end 3/2 rtt=30ms`, ``},
		{"S3: the server closed", handshake + `
			1.0 10.0.0.2:80 > 10.0.0.1:4000 FA seq=501 ack=101
			1.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=502`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S3 ShAf syn capture_end 3/2 rtt=30ms`, ``},
		{"RSTO: reset by the client", handshake + `
			1.0 10.0.0.1:4000 > 10.0.0.2:80 R seq=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTO ShAR syn reset 3/1 rtt=30ms reset=client@4,ttl=64`, ``},
		{"RSTR: reset by the server, then by the client too", handshake + `
			1.0 10.0.0.2:80 > 10.0.0.1:4000 RA seq=501 ack=101 ttl=61
			1.1 10.0.0.1:4000 > 10.0.0.2:80 R seq=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTR ShArR syn reset 3/2 rtt=30ms reset=server@4,ttl=61`, ``},
		{"RSTOS0: the client gave up with a RST", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			1.0 10.0.0.1:4000 > 10.0.0.2:80 RA seq=101 ack=0`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTOS0 SR syn reset 2/0 reset=client@2,ttl=64`, ``},
		{"RSTRH: SYN-ACK, then RST, and no SYN", `
			0.0 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
			1.0 10.0.0.2:80 > 10.0.0.1:4000 R seq=501`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTRH hr syn reset 0/2 reset=server@2,ttl=64`, ``},
		{"SH: SYN, then FIN, and nothing from the server", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			1.0 10.0.0.1:4000 > 10.0.0.2:80 FA seq=101 ack=501`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp SH SF syn capture_end 2/0`, ``},
		{"SHR: SYN-ACK, then FIN, and nothing from the client", `
			0.0 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
			1.0 10.0.0.2:80 > 10.0.0.1:4000 FA seq=501 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp SHR hf syn capture_end 0/2`, ``},
		{"OTH: midway", `
			0.0 10.0.0.1:4000 > 10.0.0.2:5000 A seq=100 ack=900
			0.1 10.0.0.2:5000 > 10.0.0.1:4000 A seq=900 ack=100`,
			`10.0.0.1:4000 > 10.0.0.2:5000 tcp OTH Aa first_packet capture_end 1/1 midway`, ``},
		{"not REJ: data both ways, only the SYN-ACK was not captured", `
			0.00 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.02 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.03 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=106 data=world
			0.04 10.0.0.2:80 > 10.0.0.1:4000 R seq=506`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTR SDdr syn reset 2/2 payload=5/5 reset=server@4,ttl=64`,
			`> hello
			< world`},

		{"both sides of a device that renumbers: the client is where it speaks", `
			0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=5000001
			0.020 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
			0.030 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 3/2 payload=5/0 unseen>`,
			`> hello`},

		{"orientation by port: documented before well-known", `
			0.0 10.0.0.1:443 > 10.0.0.2:7780 A seq=100 ack=900
			0.1 10.0.0.4:7780 > 10.0.0.3:443 A seq=100 ack=900
			0.2 10.0.0.5:443 > 10.0.0.6:50000 A seq=100 ack=900`,
			`10.0.0.1:443 > 10.0.0.2:7780 tcp OTH A port capture_end 1/0 midway
			10.0.0.3:443 > 10.0.0.4:7780 tcp OTH a port capture_end 0/1 midway
			10.0.0.6:50000 > 10.0.0.5:443 tcp OTH a port capture_end 0/1 midway`, ``},
		{"orientation by protocol turns the ends", `
			0.0 10.0.0.1:4000 > 10.0.0.2:5000 PA seq=100 ack=900 data=SERVER
			0.1 10.0.0.2:5000 > 10.0.0.1:4000 PA seq=900 ack=106 data=yes`,
			`10.0.0.2:5000 > 10.0.0.1:4000 tcp OTH ^dD protocol capture_end 1/1 payload=3/6 midway`,
			`< SERVER
			> yes`},
		{"orientation by protocol does not turn a SYN", handshake + `
			1.0 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=SERVER`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 3/1 payload=6/0 rtt=30ms`, `> SERVER`},
		{"orientation by protocol agrees with the port", `
			0.0 10.0.0.1:4000 > 10.0.0.2:443 PA seq=100 ack=900 data=CLIENT`,
			`10.0.0.1:4000 > 10.0.0.2:443 tcp OTH D protocol capture_end 1/0 payload=6/0 midway`, `> CLIENT`},
		{"the SYN comes behind its SYN-ACK", `
			0.010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
			0.010 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.030 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 hSA syn capture_end 2/1 rtt=20ms`, ``},
		{"the SYN comes behind the data that it opened", `
			0.020 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.020 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.021 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
			0.030 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=106`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 DSha syn capture_end 2/2 payload=5/0`, `> hello`},

		{"a port used again begins a new flow", handshake + `
			1.000 10.0.0.1:4000 > 10.0.0.2:80 FA seq=101 ack=501
			1.010 10.0.0.2:80 > 10.0.0.1:4000 FA seq=501 ack=102
			1.020 10.0.0.1:4000 > 10.0.0.2:80 A seq=102 ack=502
			5.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=7000
			5.010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=900 ack=7001`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp SF ShAFf syn closed 4/2 rtt=30ms
			10.0.0.1:4000 > 10.0.0.2:80 tcp S1 Sh syn capture_end 1/1`, ``},
		{"a port used again without an end before it", handshake + `
			5.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=7000`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShA syn capture_end 2/1 rtt=30ms
			10.0.0.1:4000 > 10.0.0.2:80 tcp S0 S syn capture_end 1/0`, ``},
		{"a FIN behind the acknowledgement that follows it: no gap", handshake + `
			0.04 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=abcd
			0.05 10.0.0.2:80 > 10.0.0.1:4000 FA seq=501 ack=106
			0.06 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=502
			0.07 10.0.0.1:4000 > 10.0.0.2:80 FA seq=105 ack=501`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp SF ShADfF syn closed 5/2 payload=4/0 rtt=30ms`, ``},
		{"refused twice: two attempts", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.1 10.0.0.2:80 > 10.0.0.1:4000 RA ack=101
			1.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=9100
			1.1 10.0.0.2:80 > 10.0.0.1:4000 RA ack=9101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp REJ Sr syn reset 1/1 reset=server@2,ttl=64
			10.0.0.1:4000 > 10.0.0.2:80 tcp REJ Sr syn reset 1/1 reset=server@4,ttl=64`, ``},
		{"refused twice, and the client did not hear of the first: one attempt, no copies", `
			0.0    [fd00::1]:4000 > [fd00::2]:80 S seq=100
			0.0001 [fd00::2]:80 > [fd00::1]:4000 RA ack=101
			1.0    [fd00::1]:4000 > [fd00::2]:80 S seq=100
			1.0001 [fd00::2]:80 > [fd00::1]:4000 RA ack=101`,
			`[fd00::1]:4000 > [fd00::2]:80 tcp REJ Sr syn reset 2/2 syns=2 reset=server@2,ttl=64`, ``},
		{"idle: opening after 3 minutes, datagrams too, established after 2 hours", `
			0   10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0   10.0.0.3:5000 > 10.0.0.2:53 udp data=?a
			181 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			179 10.0.0.3:5000 > 10.0.0.2:53 udp data=?b
			359.1 10.0.0.3:5000 > 10.0.0.2:53 udp data=?c
			400 10.0.0.5:4000 > 10.0.0.2:80 S seq=100
			400 10.0.0.2:80 > 10.0.0.5:4000 SA seq=100 ack=101
			400 10.0.0.5:4000 > 10.0.0.2:80 A seq=101 ack=101
			7599 10.0.0.5:4000 > 10.0.0.2:80 A seq=101 ack=101
			14800 10.0.0.5:4000 > 10.0.0.2:80 A seq=101 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S0 S syn idle 1/0
			10.0.0.3:5000 > 10.0.0.2:53 udp port idle 2/0 payload=4/0
			10.0.0.1:4000 > 10.0.0.2:80 tcp S0 S syn idle 1/0
			10.0.0.3:5000 > 10.0.0.2:53 udp port idle 1/0 payload=2/0
			10.0.0.5:4000 > 10.0.0.2:80 tcp S1 ShA syn idle 3/1
			10.0.0.5:4000 > 10.0.0.2:80 tcp OTH A syn capture_end 1/0 midway`, ``},

		{"retransmission", handshake + `
			0.1 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.4 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.5 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=106`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADTa syn capture_end 4/2 payload=10/0 again=1/0 rtt=30ms stalled>1`, `> hello`},
		{"sent into nothing", handshake + `
			0.1 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.4 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			1.0 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADT syn capture_end 5/1 payload=15/0 again=2/0 rtt=30ms unanswered>2`, `> hello`},
		{"out of order", handshake + `
			0.10 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 data=world
			0.11 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=hello
			0.12 10.0.0.1:4000 > 10.0.0.2:80 A seq=111 ack=501 data=!`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 5/1 payload=11/0 late=1/0 rtt=30ms`,
			`> hello
			> world
			> !`},
		{"a SYN's copy behind the client's other packets, and nothing of the server", `
			0.00000 [fd00::1]:4000 > [fd00::2]:80 S seq=100
			0.00003 [fd00::1]:4000 > [fd00::2]:80 A seq=101 ack=501
			0.00004 [fd00::1]:4000 > [fd00::2]:80 PA seq=101 ack=501 data=?hello
			0.00005 [fd00::1]:4000 > [fd00::2]:80 S seq=100`,
			`[fd00::1]:4000 > [fd00::2]:80 tcp S0 SAD syn capture_end 4/0 payload=6/0 copies=1/0`, ``},
		{"a client's packets out of order behind its SYN, and the server's SYN-ACK behind all", `
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0001 10.0.0.1:4000 > 10.0.0.2:80 PA seq=106 ack=501 data=world
			0.0002 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.0003 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 SDh syn capture_end 3/1 payload=10/0 late=1/0`, `> hello
			> world`},
		{"a SYN-ACK soon behind a part of what it opened: its place is known", `
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0001 10.0.0.2:80 > 10.0.0.1:4000 PA seq=506 ack=101 data=world
			0.0002 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=101 data=hello
			0.0003 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 Sdh syn capture_end 1/3 payload=0/10 late=0/1`, `< hello
			< world`},
		{"a SYN-ACK long behind a part of what it opened: the first bytes were not read", `
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0001 10.0.0.2:80 > 10.0.0.1:4000 PA seq=506 ack=101 data=world
			0.0002 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=101 data=hello
			0.0103 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 Sdth syn capture_end 1/3 payload=0/10 again=0/1 unanswered<1 midway`, `< world`},
		{"likewise a SYN, and then the SYN-ACK: soon", `
			0.0001 10.0.0.1:4000 > 10.0.0.2:80 PA seq=106 ack=501 data=world
			0.0002 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0003 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.0004 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 DSh syn capture_end 3/1 payload=10/0 late=1/0`, `> hello
			> world`},
		{"likewise a SYN, and then the SYN-ACK: late", `
			0.0001 10.0.0.1:4000 > 10.0.0.2:80 PA seq=106 ack=501 data=world
			0.0102 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0103 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.0104 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 DSTh syn capture_end 3/1 payload=10/0 again=1/0 stalled>1 midway`, `> world`},
		{"a whole connection, its SYNs last: bytes of both ends in their order", `
			0.0009 10.0.0.1:4000 > 10.0.0.2:80 A seq=116 ack=512
			0.0008 10.0.0.2:80 > 10.0.0.1:4000 FA seq=511 ack=116
			0.0007 10.0.0.2:80 > 10.0.0.1:4000 PA seq=506 ack=111 data=WORLD
			0.0005 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=101 data=HELLO
			0.0008 10.0.0.1:4000 > 10.0.0.2:80 FA seq=115 ack=511
			0.0006 10.0.0.1:4000 > 10.0.0.2:80 PA seq=106 ack=501 data=worldly
			0.0004 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.0006 10.0.0.1:4000 > 10.0.0.2:80 PA seq=113 ack=501 data=ok
			0.0001 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp SF AfdFDhS syn closed 6/4 payload=14/10 late=3/2`, `> hello
			< HELLO
			> worldly
			> ok
			< WORLD`},
		{"bytes before the SYN, and between them some that never come", `
			0.0001 10.0.0.1:4000 > 10.0.0.2:80 PA seq=111 ack=501 data=world
			0.0002 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0003 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 DShG syn capture_end 2/1 payload=5/0 missed=10/0 lost`, `> world`},
		{"an acknowledgement before its SYN is no beginning", `
			0.0001 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=506
			0.0002 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0003 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.0004 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ASDh syn capture_end 3/1 payload=5/0 late=1/0 unseen< lost`, `
			> hello
			< gap 4`},
		{"a capture that begins in the middle: bytes of both ends as they came", `
			0.000 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=one
			0.001 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=104 data=two
			0.002 10.0.0.1:4000 > 10.0.0.2:80 PA seq=104 ack=504 data=three
			0.003 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=one
			0.004 10.0.0.2:80 > 10.0.0.1:4000 A seq=504 ack=109
			0.020 10.0.0.2:80 > 10.0.0.1:4000 PA seq=504 ack=109 data=four`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp OTH DdaT port capture_end 3/3 payload=11/7 again=1/0 stalled>1 midway`, `> one
			< two
			> three
			< four`},
		{"an acknowledgement before what its end had sent, and the SYN-ACK", `
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0001 10.0.0.2:80 > 10.0.0.1:4000 A seq=506 ack=102
			0.0002 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=101 data=hello
			0.0003 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 Sadh syn capture_end 1/3 payload=0/5 late=0/1 unseen>`, `< hello`},
		{"a SYN, and far from it the middle of another connection: nothing is missing between them", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			9.0 10.0.0.1:4000 > 10.0.0.2:80 PA seq=6557700 ack=501 data=hello`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S0 SD syn capture_end 2/0 payload=5/0`, `> hello`},
		{"a SYN's copy behind the handshake, whose first packet that is followed is the server's", `
			0.0000 [fd00::1]:4000 > [fd00::2]:80 S seq=100
			0.0001 [fd00::2]:80 > [fd00::1]:4000 A seq=501 ack=101
			0.0002 [fd00::1]:4000 > [fd00::2]:80 A seq=101 ack=501
			0.0003 [fd00::2]:80 > [fd00::1]:4000 SA seq=500 ack=101
			0.0015 [fd00::1]:4000 > [fd00::2]:80 S seq=100`,
			`[fd00::1]:4000 > [fd00::2]:80 tcp S1 SaAh syn capture_end 3/2 syns=2`, ``},
		{"what was acknowledged and is missing is a gap at once", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.060 10.0.0.1:4000 > 10.0.0.2:80 PA seq=116 ack=501 data=world
			0.070 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=121
			0.100 10.0.0.1:4000 > 10.0.0.2:80 PA seq=121 ack=501 data=again
			0.110 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=126 data=yes`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADadG syn capture_end 5/3 payload=15/3 missed=10/0 rtt=30ms lost`,
			`> hello
			> gap 10
			> world
			> again
			< yes`},
		{"what was acknowledged a moment ago may still come", handshake + `
			0.040 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.060 10.0.0.1:4000 > 10.0.0.2:80 PA seq=116 ack=501 data=world
			0.061 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=126
			0.065 10.0.0.1:4000 > 10.0.0.2:80 PA seq=121 ack=501 data=again
			0.066 10.0.0.1:4000 > 10.0.0.2:80 PA seq=106 ack=501 data=there,now!`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADa syn capture_end 6/2 payload=25/0 late=1/0 rtt=30ms`,
			`> hello
			> there,now!
			> world
			> again`},
		{"missing bytes are a gap", handshake + `
			0.10 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=hello
			0.11 10.0.0.1:4000 > 10.0.0.2:80 A seq=116 ack=501 data=world`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADG syn capture_end 4/1 payload=10/0 missed=10/0 rtt=30ms lost`,
			`> hello
			> gap 10
			> world`},
		{"missing bytes, and nothing known of the rest", handshake + `
			0.10 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=101 data=?a
			0.11 10.0.0.1:4000 > 10.0.0.2:80 A seq=111 ack=503 data=?b`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAdDG syn capture_end 3/2 payload=2/2 missed=10/0 rtt=30ms lost`, ``},
		{"a hole filled in its middle, then from both sides", handshake + `
			0.10 10.0.0.1:4000 > 10.0.0.2:80 A seq=131 ack=501 len=10
			0.11 10.0.0.1:4000 > 10.0.0.2:80 A seq=111 ack=501 len=10
			0.12 10.0.0.1:4000 > 10.0.0.2:80 A seq=96 ack=501 len=15
			0.13 10.0.0.1:4000 > 10.0.0.2:80 A seq=121 ack=501 len=30`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 6/1 payload=65/0 late=2/0 rtt=30ms`,
			`> xyzabcdefg
			> hijklmnopq
			> rstuvwxyza
			> bcdefghijk
			> lmnopqrstu`},
		{"a segment that repeats, fills a hole and goes on", handshake + `
			0.10 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=5
			0.11 10.0.0.1:4000 > 10.0.0.2:80 A seq=110 ack=501 len=5
			0.12 10.0.0.1:4000 > 10.0.0.2:80 A seq=103 ack=501 len=20`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 5/1 payload=30/0 rtt=30ms`,
			`> xyzab
			> cdef
			> ghijk
			> lmnopqrs`},
		{"keep-alives are no retransmissions", handshake + `
			1.0 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=hello
			1.1 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=106
			60 10.0.0.1:4000 > 10.0.0.2:80 A seq=105 ack=501
			60.1 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=106
			120 10.0.0.1:4000 > 10.0.0.2:80 A seq=105 ack=501 len=1
			120.1 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=106`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADa syn capture_end 5/4 payload=6/0 rtt=30ms`, `> hello`},
		{"sequence numbers wrap", `
			0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=4294967290
			0.010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=4294967295 ack=4294967291
			0.030 10.0.0.1:4000 > 10.0.0.2:80 A seq=4294967291 ack=0
			0.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=5 ack=0 data=cc
			0.2 10.0.0.1:4000 > 10.0.0.2:80 A seq=4294967295 ack=0 data=bbbbbb
			0.3 10.0.0.1:4000 > 10.0.0.2:80 A seq=4294967291 ack=0 data=aaaa
			0.4 10.0.0.2:80 > 10.0.0.1:4000 FA seq=0 ack=7
			0.5 10.0.0.1:4000 > 10.0.0.2:80 FA seq=7 ack=1`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp SF ShADfF syn closed 6/2 payload=12/0 late=2/0 rtt=30ms`,
			`> aaaa
			> bbbbbb
			> cc`},
		{"cut by the snap length", handshake + `
			0.10 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=hello cut=2
			0.11 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 data=world cut=5
			0.12 10.0.0.1:4000 > 10.0.0.2:80 A seq=111 ack=501 data=!`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 5/1 payload=11/0 rtt=30ms lost`,
			`> hel
			> gap 2
			> gap 5
			> !`},
		{"held and cut", handshake + `
			0.11 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 data=world cut=4
			0.10 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=hello`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 4/1 payload=10/0 late=1/0 rtt=30ms lost`,
			`> hello
			> w
			> gap 4`},
		{"the longer of two held segments", handshake + `
			0.10 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 len=5
			0.11 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 len=9
			0.12 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=5`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 5/1 payload=19/0 late=1/0 rtt=30ms`,
			`> xyzab
			> cdefg
			> hijk`},
		{"the dissector has had enough", handshake + `
			0.10 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 len=5
			0.11 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=STOP!
			0.12 10.0.0.1:4000 > 10.0.0.2:80 A seq=111 ack=501 len=5`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 5/1 payload=15/0 late=1/0 rtt=30ms`, ``},
		{"data with the SYN", `
			0.00 10.0.0.1:4000 > 10.0.0.2:80 S seq=100 data=hello
			0.01 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=106
			0.02 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 data=world`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 SDh syn capture_end 2/1 payload=10/0 rtt=20ms`,
			`> hello
			> world`},

		{"a mirror's copies, each behind its packet", `
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0001 copy
			0.0100 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
			0.0101 copy
			0.0300 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501
			0.0301 copy
			0.1000 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.1001 copy
			0.2000 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello # sent again, with another identification
			0.2001 copy`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADT syn capture_end 8/2 payload=20/0 again=1/0 copies=4/1 rtt=30ms unanswered>1 routed<`, `> hello`},
		{"a mirror's copies, behind the answer", `
			0.00000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.00010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
			0.00020 copy 1
			0.00030 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501
			0.00040 copy 2
			0.00050 copy 4
			0.00060 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=4
			0.00070 10.0.0.1:4000 > 10.0.0.2:80 A seq=105 ack=501 len=4
			0.00080 copy 7
			0.00090 copy 8`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 8/2 payload=16/0 copies=4/1 rtt=300µs routed<`,
			`> xyza
			> bcde`},
		{"copies with the checksum that the card made, of packets whose sender left it to the card", `
			0.00000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100 sum=77
			0.00005 copy sum=4711
			0.00010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101 id=0 sum=77
			0.00015 copy sum=4711
			0.00020 10.0.0.1:4000 > 10.0.0.2:80 RA seq=101 ack=501 sum=77
			0.00025 copy sum=4711
			1.00000 [fd00::1]:4000 > [fd00::2]:80 A seq=101 ack=501 data=hello sum=77
			1.00050 copy sum=4711
			2.00000 [fd00::1]:4000 > [fd00::2]:53 udp data=hello sum=77
			2.00050 copy sum=4711
			2.00060 [fd00::1]:4000 > [fd00::2]:53 udp data=jello sum=77`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTO ShR syn reset 4/2 copies=2/1 reset=client@5,ttl=64 routed<
			[fd00::1]:4000 > [fd00::2]:80 tcp OTH D port capture_end 2/0 payload=10/0 copies=1/0 routed> midway
			[fd00::1]:4000 > [fd00::2]:53 udp port capture_end 3/0 payload=15/0 copies=1/0`,
			`> hello
			> hello
			> jello`},
		{"a SYN's copy behind the client's reset, in a capture that lost the SYN-ACK", `
			0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.001 10.0.0.1:4000 > 10.0.0.2:80 RA seq=101 ack=70501
			0.005 copy 1
			0.006 copy 2`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp RSTOS0 SR syn reset 4/0 reset=client@2,ttl=64`, ``},
		{"in a capture without times, data is sent again and again", `
			-1700000000 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=?hello
			-1700000000 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=107 data=?hello
			-1700000000 10.0.0.1:4000 > 10.0.0.2:80 A seq=107 ack=507 data=?world
			-1700000000 10.0.0.1:4000 > 10.0.0.2:80 A seq=107 ack=507 data=?world
			-1700000000 10.0.0.1:4000 > 10.0.0.2:80 A seq=107 ack=507 data=?world
			-1700000000 10.0.0.1:4000 > 10.0.0.2:80 A seq=107 ack=507 data=?world`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp OTH DdT port capture_end 5/1 payload=30/6 again=3/0 unanswered>3 midway`, ``},
		{"segments that no stack sends", `
			0.000 10.0.0.1:4000 > 10.0.0.2:80 F seq=100
			0.001 10.0.0.2:80 > 10.0.0.1:4000 RA ack=101
			0.010 10.0.0.1:4001 > 10.0.0.2:80 FA seq=100 ack=7
			0.011 10.0.0.2:80 > 10.0.0.1:4001 R seq=7`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp OTH Fr port reset 1/1 reset=server@2,ttl=64 scan-flags
			10.0.0.1:4001 > 10.0.0.2:80 tcp OTH Fr port reset 1/1 reset=server@4,ttl=64 midway`, ``},
		{"the copy of a refused SYN is no attempt", `
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0001 10.0.0.2:80 > 10.0.0.1:4000 RA ack=101
			0.0002 copy 1
			0.0003 copy 2`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp REJ Sr syn reset 2/2 copies=1/1 reset=server@2,ttl=64`, ``},
		{"resets that refuse late packets one by one are no copies of each other", `
			0.0000 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=101 data=hello
			0.0001 10.0.0.1:4000 > 10.0.0.2:80 R seq=101 id=0
			0.0002 10.0.0.2:80 > 10.0.0.1:4000 A seq=506 ack=101 data=world
			0.0003 10.0.0.1:4000 > 10.0.0.2:80 R seq=101 id=0`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp OTH dR port reset 2/2 payload=0/10 reset=client@2,ttl=64 midway`, ``},
		{"but where a mirror copies other packets, they are", `
			0.0000 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=101 data=hello
			0.0001 copy
			0.0002 10.0.0.1:4000 > 10.0.0.2:80 R seq=101 id=0
			0.0003 copy`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp OTH dR port reset 2/2 payload=0/10 copies=1/1 reset=client@3,ttl=64 routed< midway`, ``},
		{"a SYN-ACK sent again by the clock, and once more for the SYN that crossed it", `
			0.0000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0001 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101 id=0
			1.0000 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101 id=0
			1.0001 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			1.0002 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101 id=0`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 Sh syn capture_end 2/3 syns=2`, ``},
		{"begun before the capture: the port below every dynamic range is the server's", `
			0.00 10.0.0.2:4000 > 10.0.0.1:43594 A seq=501 ack=101 data=?hello
			0.01 10.0.0.1:43594 > 10.0.0.2:4000 A seq=101 ack=507
			0.02 10.0.0.2:5001 > 10.0.0.1:4001 A seq=501 ack=101 data=?hello`,
			`10.0.0.1:43594 > 10.0.0.2:4000 tcp OTH dA port capture_end 1/1 payload=0/6 midway
			10.0.0.2:5001 > 10.0.0.1:4001 tcp OTH D first_packet capture_end 1/0 payload=6/0 midway`, ``},
		{"without an identification only time tells a copy", `
			0.0000 [fd00::1]:4000 > [fd00::2]:80 A seq=101 ack=501 data=hello
			0.0005 copy
			0.0300 copy`,
			`[fd00::1]:4000 > [fd00::2]:80 tcp OTH DT port capture_end 3/0 payload=15/0 again=1/0 copies=1/0 unanswered>1 routed> midway`, `> hello`},
		{"copies of datagrams, and datagrams of one size", `
			0.0000 [fd00::1]:4000 > [fd00::2]:53 udp data=a1
			0.0001 copy
			0.0002 [fd00::1]:4000 > [fd00::2]:53 udp data=a2
			0.0003 copy
			0.0004 10.0.0.1:4000 > 10.0.0.2:53 udp data=b1
			0.0104 copy
			0.2104 copy`,
			`[fd00::1]:4000 > [fd00::2]:53 udp port capture_end 4/0 payload=8/0 copies=2/0
			10.0.0.1:4000 > 10.0.0.2:53 udp port capture_end 3/0 payload=6/0 copies=1/0`,
			`> a1
			> a2
			> b1
			> b1`},
		{"an answer that repeats an earlier one is no copy of it, however soon it comes", `
			0.0000 [fd00::1]:4000 > [fd00::2]:53 udp data=ping
			0.0001 [fd00::2]:53 > [fd00::1]:4000 udp data=pong
			5.0000 [fd00::1]:4000 > [fd00::2]:53 udp data=ping
			5.0001 [fd00::2]:53 > [fd00::1]:4000 udp data=pong`,
			`[fd00::1]:4000 > [fd00::2]:53 udp port capture_end 2/2 payload=8/8`,
			`> ping
			< pong
			> ping
			< pong`},
		{"other protocols of one size are no copies", `
			0.0000 [fd00::1]:0 > [fd00::2]:0 ip:50 data=spi1seq1cipher
			0.0001 [fd00::1]:0 > [fd00::2]:0 ip:50 data=spi1seq2cipher
			0.0002 copy`,
			`[fd00::1]:0 > [fd00::2]:0 ip:50 first_packet capture_end 3/0 payload=42/0 copies=1/0`, ``},

		{"ICMP errors belong to the flow that they quote", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.1 10.0.0.254:0 > 10.0.0.1:0 icmp:3/13 quote=1
			0.2 10.0.0.1:4000 > 10.0.0.9:161 udp data=?
			0.3 10.0.0.9:0 > 10.0.0.1:0 icmp:3/3 quote=3
			0.4 10.0.0.1:0 > 10.0.0.9:0 icmp:8/0 echo=77 seq=1
			0.5 10.0.0.254:0 > 10.0.0.1:0 icmp:11/0 quote=5
			0.6 [fd00::1]:4000 > [fd00::2]:80 S seq=100
			0.7 [fd00::ff]:0 > [fd00::1]:0 icmp:1/1 quote=7`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S0 S syn capture_end 1/0 icmp:3/13@10.0.0.254
			10.0.0.254:0 > 10.0.0.1:0 icmp echo=0 first_packet capture_end 1/0 payload=36/0
			10.0.0.1:4000 > 10.0.0.9:161 udp port capture_end 1/0 payload=1/0 icmp:3/3@10.0.0.9
			10.0.0.9:0 > 10.0.0.1:0 icmp echo=0 first_packet capture_end 1/0 payload=36/0
			10.0.0.1:0 > 10.0.0.9:0 icmp echo=77 syn capture_end 1/0 payload=8/0 icmp:11/0@10.0.0.254
			10.0.0.254:0 > 10.0.0.1:0 icmp echo=0 first_packet capture_end 1/0 payload=36/0
			[fd00::1]:4000 > [fd00::2]:80 tcp S0 S syn capture_end 1/0 icmp:1/1@fd00::ff
			[fd00::ff]:0 > [fd00::1]:0 icmp echo=0 first_packet capture_end 1/0 payload=56/0`, ``},
		{"echoes by identifier, the reply first", `
			0.0 10.0.0.2:0 > 10.0.0.1:0 icmp:0/0 echo=7 seq=1
			0.1 10.0.0.1:0 > 10.0.0.2:0 icmp:8/0 echo=7 seq=2
			0.2 10.0.0.1:0 > 10.0.0.2:0 icmp:8/0 echo=8 seq=1`,
			`10.0.0.1:0 > 10.0.0.2:0 icmp echo=7 syn capture_end 1/1 payload=8/8
			10.0.0.1:0 > 10.0.0.2:0 icmp echo=8 syn capture_end 1/0 payload=8/0`, ``},
		{"an echo identifier is no type and code", `
			0.0 10.0.0.1:0 > 10.0.0.2:0 icmp:8/0 echo=769 seq=1
			0.1 10.0.0.1:0 > 10.0.0.2:0 icmp:3/1
			0.2 10.0.0.2:0 > 10.0.0.1:0 icmp:3/1`,
			`10.0.0.1:0 > 10.0.0.2:0 icmp echo=769 syn capture_end 1/0 payload=8/0
			10.0.0.1:0 > 10.0.0.2:0 icmp echo=0 first_packet capture_end 1/1 payload=8/8`, ``},

		{"IPv6", `
			0.000 [fd00::1]:4000 > [fd00::2]:80 S seq=100
			0.010 [fd00::2]:80 > [fd00::1]:4000 SA seq=500 ack=101
			0.030 [fd00::1]:4000 > [fd00::2]:80 A seq=101 ack=501
			0.040 [fd00::1]:4000 > [fd00::2]:80 A seq=101 ack=501 data=hello
			1.000 [fd00::2]:80 > [fd00::1]:4000 RA seq=501 ack=106`,
			`[fd00::1]:4000 > [fd00::2]:80 tcp RSTR ShADr syn reset 3/2 payload=5/0 rtt=30ms reset=server@5,ttl=64`, `> hello`},
		{"port 0", `
			0.0 10.0.0.1:0 > 10.0.0.2:0 S seq=100
			0.1 10.0.0.2:0 > 10.0.0.1:0 RA ack=101
			0.2 10.0.0.1:0 > 10.0.0.2:0 udp data=x`,
			`10.0.0.1:0 > 10.0.0.2:0 tcp REJ Sr syn reset 1/1 reset=server@2,ttl=64
			10.0.0.1:0 > 10.0.0.2:0 udp first_packet capture_end 1/0 payload=1/0`, ``},
		{"one address at both ends", `
			0.000 127.0.0.1:4000 > 127.0.0.1:80 S seq=100
			0.010 127.0.0.1:80 > 127.0.0.1:4000 SA seq=500 ack=101
			0.030 127.0.0.1:4000 > 127.0.0.1:80 A seq=101 ack=501
			0.040 127.0.0.1:4000 > 127.0.0.1:80 A seq=101 ack=501 data=hello
			0.050 127.0.0.1:80 > 127.0.0.1:4000 A seq=501 ack=106 data=world`,
			`127.0.0.1:4000 > 127.0.0.1:80 tcp S1 ShADd syn capture_end 3/2 payload=5/5 rtt=30ms`,
			`> hello
			< world`},
		{"other protocols, and tags of both directions", `
			0.0 10.0.0.1:0 > 10.0.0.2:0 ip:89 data=hello vlan=20
			0.1 10.0.0.2:0 > 10.0.0.1:0 ip:89 data=hello vlan=30
			0.2 10.0.0.2:0 > 10.0.0.1:0 ip:90 data=hello`,
			`10.0.0.1:0 > 10.0.0.2:0 ip:89 first_packet capture_end 1/1 payload=5/5 vlan:20 vlan:30
			10.0.0.2:0 > 10.0.0.1:0 ip:90 first_packet capture_end 1/0 payload=5/0`, ``},

		{"TCP cut behind the ports", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100 cut=16
			0.1 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101 cut=7
			0.2 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello cut=21
			0.3 10.0.0.1:4000 > 10.0.0.2:81 S seq=100 cut=17`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp OTH  port capture_end 2/1 ports-only`, ``},
		{"TCP cut behind the flags", `
			0.00 10.0.0.1:4000 > 10.0.0.2:80 S seq=100 cut=6
			0.01 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101 cut=5
			0.03 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 cut=1
			0.04 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello cut=8`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 3/1 payload=5/0 rtt=30ms lost`, ``},
		{"TCP whose later headers were cut", handshake + `
			0.04 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello cut=21
			0.05 10.0.0.1:4000 > 10.0.0.2:80 PA seq=106 ack=501 data=world`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADG syn capture_end 4/1 payload=5/0 missed=5/0 rtt=30ms lost`, ``},
		{"UDP cut behind the ports: no copies of each other", `
			0.0000 [fd00::1]:4000 > [fd00::2]:53 udp data=a1 cut=6
			0.0001 [fd00::1]:4000 > [fd00::2]:53 udp data=a2 cut=4`,
			`[fd00::1]:4000 > [fd00::2]:53 udp port capture_end 2/0 payload=4/0`, ``},
		{"fragments in order, reversed, repeated and overlapping", `
			0.00 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=0+24 more
			0.01 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=24+24
			0.02 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=1 id=2 frag=24+24
			0.03 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=1 id=2 frag=0+24 more
			0.04 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=2 id=3 frag=0+24 more
			0.05 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=2 id=3 frag=0+24 more
			0.06 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=2 id=3 frag=16+24 more
			0.07 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=2 id=3 frag=32+16`,
			`10.0.0.1:4000 > 10.0.0.2:53 udp port capture_end 3/0 payload=120/0 parts=5/0`,
			`> abcdefghijklmnopqrstuvwxyzabcdefghijklmn
			> bcdefghijklmnopqrstuvwxyzabcdefghijklmno
			> cdefghijklmnopqrstuvwxyzabcdefghijklmnop`},
		{"fragments missing: the first stays a packet of its flow, others of none", `
			0.00 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=0+24 more
			0.02 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=1 id=2 frag=24+24
			90.0 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=1 id=2 frag=0+24 more`,
			`10.0.0.1:4000 > 10.0.0.2:53 udp port capture_end 2/0 payload=32/0`,
			`> abcdefghijklmnop
			> bcdefghijklmnopq`},
		{"a fragmented ICMP error that stays incomplete", `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.1 10.0.0.9:0 > 10.0.0.1:0 icmp:3/13 quote=1 frag=0+32 more
			0.2 10.0.0.1:4000 > 10.0.0.2:80 S seq=100`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S0 S syn capture_end 2/0 syns=2 icmp:3/13@10.0.0.9
			10.0.0.9:0 > 10.0.0.1:0 icmp echo=0 first_packet capture_end 1/0 payload=32/0`, ``},
		{"a first fragment cut behind the ports, of a datagram that stays incomplete", `
			0.0 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=0+24 more cut=20`,
			`10.0.0.1:4000 > 10.0.0.2:53 udp port capture_end 1/0 payload=16/0`, ``},
		{"a mirror's copies of fragments, each behind its own, then of the whole", `
			0.000 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=0+24 more
			0.001 copy
			0.002 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=24+24
			0.003 copy
			0.004 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=2 frag=0+24 more
			0.005 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=2 frag=24+24
			0.006 copy 5
			0.007 copy 6`,
			`10.0.0.1:4000 > 10.0.0.2:53 udp port capture_end 3/0 payload=120/0 copies=1/0 parts=4/0`,
			`> abcdefghijklmnopqrstuvwxyzabcdefghijklmn
			> abcdefghijklmnopqrstuvwxyzabcdefghijklmn`},
		{"a clock far ahead does not end reassembly", `
			1000000 10.0.0.9:3000 > 10.0.0.8:4000 udp data=?
			0.0 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=0+24 more
			0.1 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=24+24`,
			`10.0.0.9:3000 > 10.0.0.8:4000 udp first_packet capture_end 1/0 payload=1/0
			10.0.0.1:4000 > 10.0.0.2:53 udp port idle 1/0 payload=40/0 parts=1/0`,
			`> abcdefghijklmnopqrstuvwxyzabcdefghijklmn`},
		{"segments that overlap with other bytes: the first copy counts", handshake + `
			0.04 10.0.0.1:4000 > 10.0.0.2:80 A seq=105 ack=501 data=EFGH
			0.05 10.0.0.1:4000 > 10.0.0.2:80 A seq=103 ack=501 data=cdxx
			0.06 10.0.0.1:4000 > 10.0.0.2:80 A seq=107 ack=501 data=yyij
			0.07 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=abzzzz`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADI syn capture_end 6/1 payload=18/0 late=2/0 rtt=30ms`,
			`> ab
			> cd
			> EFGH
			> ij`},
		{"a longer copy with the same bytes is not inconsistent", handshake + `
			0.04 10.0.0.1:4000 > 10.0.0.2:80 A seq=105 ack=501 data=ef
			0.05 10.0.0.1:4000 > 10.0.0.2:80 A seq=103 ack=501 data=cdefgh
			0.06 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=ab`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShAD syn capture_end 5/1 payload=10/0 late=1/0 rtt=30ms`,
			`> ab
			> cd
			> ef
			> gh`},
		{"fragments that overlap with other bytes: the first copy counts", `
			0.00 10.0.0.1:4000 > 10.0.0.2:53 udp data=AAAAAAAAaaaaaaaabbbbbbbb id=1 frag=16+16
			0.01 10.0.0.1:4000 > 10.0.0.2:53 udp data=CCCCCCCCccccccccdddddddd id=1 frag=0+24 more`,
			`10.0.0.1:4000 > 10.0.0.2:53 udp port capture_end 1/0 payload=24/0 parts=1/0`,
			`> CCCCCCCCaaaaaaaabbbbbbbb`},
		{"what lies beyond any window is not of the connection", handshake + `
			0.04 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
			0.05 10.0.0.2:80 > 10.0.0.1:4000 A seq=1500000000 ack=106
			0.06 10.0.0.2:80 > 10.0.0.1:4000 PA seq=501 ack=106 data=world!`,
			`10.0.0.1:4000 > 10.0.0.2:80 tcp S1 ShADad syn capture_end 3/3 payload=5/6 rtt=30ms`,
			`> hello
			< world!`},
		{"overlapping fragments of IPv6 are incomplete", `
			0.00 [fd00::1]:4000 > [fd00::2]:53 udp data=AAAAAAAAaaaaaaaabbbbbbbb id=1 frag=16+16
			0.01 [fd00::1]:4000 > [fd00::2]:53 udp data=CCCCCCCCccccccccdddddddd id=1 frag=0+24 more`,
			``, ``},
		{"fragments of IPv6", `
			0.00 [fd00::1]:4000 > [fd00::2]:80 PA len=40 seq=0 id=1 frag=40+20
			0.01 [fd00::1]:4000 > [fd00::2]:80 PA len=40 seq=0 id=1 frag=0+40 more`,
			`[fd00::1]:4000 > [fd00::2]:80 tcp OTH D port capture_end 1/0 payload=40/0 parts=1/0 midway`,
			`> abcdefghijklmnopqrstuvwxyzabcdefghijklmn`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := play(t, frames(t, c.script), limits())
			check(t, "flows", r.flows, c.want)
			if partial := strings.HasPrefix(c.name, "fragments missing") || strings.HasSuffix(c.name, "incomplete"); partial != (r.stats.Partial > 0) {
				t.Errorf("%d datagrams incomplete", r.stats.Partial)
			}
			if c.log != "" {
				check(t, "dissection", r.log, c.log)
			}
		})
	}
}

func check(t *testing.T, what string, got []string, want string) {
	t.Helper()
	var lines []string
	for _, l := range strings.Split(want, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	if !slices.Equal(got, lines) {
		t.Errorf("%s:\n\t%s\nwant:\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// TestHoles sends segments of a stream in orders that leave many of them out for a
// while: all that came is counted as late, nothing as sent again, and nothing as
// missing but what never came.
func TestHoles(t *testing.T) {
	const size = 10
	stream := func(order []int) *Flow {
		var p []pcaps.Packet
		p = said(p, 0.00, "10.0.0.1:4000", "10.0.0.2:80", "S", 100, 0, "")
		p = said(p, 0.01, "10.0.0.2:80", "10.0.0.1:4000", "SA", 500, 101, "")
		for i, at := range order {
			p = said(p, 0.02+float64(i)/1e4, "10.0.0.1:4000", "10.0.0.2:80", "A", 101+uint32(size*at), 501, "?123456789")
		}
		for i := range p {
			p[i].Frame = pcaps.MakeFrameID(0, uint64(i+1))
		}
		return tracked(p)[0]
	}
	alternate := func(n, first int) (order []int) { // every second one of n
		for i := first; i < n; i += 2 {
			order = append(order, i)
		}
		return order
	}
	back := func(n int) []int {
		order := make([]int, n)
		for i := range order {
			order[i] = n - 1 - i
		}
		return order
	}
	const many = 10 * maxHoles // every second one of them is more than are remembered
	for _, c := range []struct {
		name                string
		order               []int
		missed, late, again uint64
	}{
		{"backwards", append([]int{0}, back(50)[:49]...), 0, 48, 0},
		{"the even ones, then the odd ones", append(alternate(2*maxHoles, 0), alternate(2*maxHoles, 1)...), 0, maxHoles - 1, 0},
		{"more holes than are remembered", append(alternate(many+1, 0), alternate(many+1, 1)...), 0, many / 2, 0},
		{"and from the last one down", append(alternate(many+1, 0), back(many + 1)[1:]...), 0, many / 2, many / 2},
		{"half of them never come", alternate(many+1, 0), many / 2 * size, 0, 0},
		{"of a few, one never comes", []int{0, 2, 4, 6, 5, 1}, size, 2, 0},
		{"one that was there comes again", append(alternate(21, 0), 20, 1), 9 * size, 1, 1},
	} {
		f := stream(c.order)
		if f.Missed[0] != c.missed || f.OutOfOrder[0] != c.late || f.Retransmitted[0] != c.again {
			t.Errorf("%s: %d bytes missed, %d late, %d again; want %d, %d, %d", c.name, f.Missed[0], f.OutOfOrder[0], f.Retransmitted[0], c.missed, c.late, c.again)
		}
		if strings.Contains(f.TCP.History, "G") != (c.missed > 0) {
			t.Errorf("%s: history %s", c.name, f.TCP.History)
		}
	}
}

// A fragment may come in a tunnel's packet that is fragmented itself.
func TestFragmentsNested(t *testing.T) {
	inner := frames(t, `
		0.0 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=0+24 more
		0.1 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 seq=0 id=1 frag=24+24`)
	outer := header{kind: "ip:4", ttl: 64, src: mustPorts("192.0.2.1:0"), dst: mustPorts("192.0.2.2:0")}
	var packets []pcaps.Packet
	add := func(packet, offset, size int, more bool) {
		outer.data, outer.id = inner[packet].Data[14:], uint16(7+packet)
		outer.offset, outer.part, outer.more = offset, size, more
		p := pcaps.Packet{Link: pcaps.LinkEthernet, Data: outer.frame(), Time: epoch, Frame: pcaps.FrameID(len(packets) + 1)}
		p.WireLen = len(p.Data)
		packets = append(packets, p)
	}
	add(0, 0, 0, false)
	add(1, 24, 20, false)
	add(1, 0, 24, true)
	r := play(t, packets, limits())
	check(t, "flows", r.flows, `10.0.0.1:4000 > 10.0.0.2:53 udp port capture_end 1/0 payload=40/0 parts=2/0 ipip:0`)
	check(t, "dissection", r.log, `> abcdefghijklmnopqrstuvwxyzabcdefghijklmn`)
	consistent(t, "nested", r, packets)
}

// A flow may go on in the next file of a capture: its evidence names that file.
func TestFramesOfFiles(t *testing.T) {
	packets := frames(t, handshake+`
		1.0 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=hello
		2.0 10.0.0.2:80 > 10.0.0.1:4000 R seq=501`)
	packets[3].Frame = pcaps.MakeFrameID(1, 7)
	packets[4].Frame = pcaps.MakeFrameID(2, 3)
	limits := limits()
	set := dissect.NewSet(nil, &dissect.Context{}, limits.MaxBuffered)
	table := NewTable(Config{Limits: limits}, set, func(list iter.Seq[*Flow]) {
		for f := range list {
			if f.Frame != pcaps.MakeFrameID(0, 1) || f.TCP.SYNACKFrame != pcaps.MakeFrameID(0, 2) ||
				f.TCP.DataFrame[ToServer] != pcaps.MakeFrameID(1, 7) || f.TCP.ResetFrame != pcaps.MakeFrameID(2, 3) {
				t.Errorf("begins at %x, SYN-ACK at %x, data at %x, RST at %x", f.Frame, f.TCP.SYNACKFrame, f.TCP.DataFrame[ToServer], f.TCP.ResetFrame)
			}
		}
	})
	table.Add(packets)
	table.Finish()
}

// A table that is full ends flows early: each is handed over once, numbered in
// order, and none is lost.
func TestTableFull(t *testing.T) {
	const clients, packetsEach = 500, 3
	var script strings.Builder
	for round := range packetsEach {
		for n := range clients {
			fmt.Fprintf(&script, "%d.%03d 10.0.%d.%d:4000 > 10.1.0.1:9000 ", round, n, n>>8, n&255)
			switch round {
			case 0:
				script.WriteString("S seq=100\n")
			case 1:
				script.WriteString("A seq=101 ack=501\n")
			case 2:
				script.WriteString("A seq=101 ack=501 data=hello\n")
			}
		}
	}
	packets := frames(t, script.String())
	for _, l := range []struct{ flows, tracked int }{{1, 1}, {2, 1}, {100, 0}, {3, 100}, {10, 10}, {64, 4}, {100, 1 << 16}, {600, 5}, {600, 600}} {
		limits := limits()
		limits.MaxFlows, limits.MaxTracked = l.flows, l.tracked
		r := play(t, packets, limits)
		consistent(t, fmt.Sprint(l), r, packets)
		if got := len(r.table.records); got > 1 {
			t.Errorf("%v: %d slabs of records", l, got)
		}
		if r.table.used > max(l.flows, 1) {
			t.Errorf("%v: %d records in use", l, r.table.used)
		}
		if r.table.extraN > l.tracked {
			t.Errorf("%v: %d flows followed", l, r.table.extraN)
		}
		full := l.flows < clients // what is followed fills up only when all flows have begun
		if full != (r.stats.Evicted > 0) || full != (r.stats.Early > 0) {
			t.Errorf("%v: %d evicted, %d settled early", l, r.stats.Evicted, r.stats.Early)
		}
		if !full && len(r.flows) != clients {
			t.Errorf("%v: %d flows, want %d", l, len(r.flows), clients)
		}
		evicted := uint64(0)
		for _, f := range r.flows {
			if strings.Contains(f, " evicted ") {
				evicted++
			}
		}
		if evicted != r.stats.Evicted {
			t.Errorf("%v: %d flows say that they were evicted, the statistics %d", l, evicted, r.stats.Evicted)
		}
	}
}

// consistent holds what came out of a table against what was given to it.
func consistent(t testing.TB, what string, r *result, packets []pcaps.Packet) {
	t.Helper()
	s := &r.stats
	var outcomes, wire uint64
	for _, n := range s.Outcomes {
		outcomes += n
	}
	for i := range packets {
		wire += uint64(uint32(packets[i].WireLen))
	}
	if s.Packets != uint64(len(packets)) || outcomes != s.Packets {
		t.Errorf("%s: %d packets given, %d counted, %d with an outcome", what, len(packets), s.Packets, outcomes)
	}
	// A datagram that stayed incomplete is a packet of its flow, while each of
	// its frames is a fragment by outcome.
	inFlows := s.Outcomes[Decoded] + s.Outcomes[PortsOnly]
	if n := r.sum.Packets.Sum(); n < inFlows || n > inFlows+s.Partial {
		t.Errorf("%s: %d packets in flows, %d with their ports, %d datagrams incomplete", what, n, inFlows, s.Partial)
	}
	if n := r.sum.Packets.Sum() + r.sum.Fragments.Sum(); n > inFlows+s.Outcomes[Fragment] {
		t.Errorf("%s: %d packets and fragments in flows, %d with their ports, %d fragments", what, n, inFlows, s.Outcomes[Fragment])
	}
	if n := r.sum.Bytes.Sum() + r.sum.FragmentBytes.Sum(); n > wire {
		t.Errorf("%s: %d bytes in flows, %d on the wire", what, n, wire)
	}
	if uint64(len(r.flows)) != s.Flows {
		t.Errorf("%s: %d flows handed over, %d begun", what, len(r.flows), s.Flows)
	}
	for i, id := range r.ids {
		if id != uint64(i)+1 {
			t.Errorf("%s: flow %d has the number %d", what, i+1, id)
			break
		}
	}
	if n := r.sum.Duplicate.Sum(); n > s.Copies {
		t.Errorf("%s: %d copies in flows, %d recognised", what, n, s.Copies)
	}
}

// TestNotFollowed says what is known of connections that there was no room to
// follow: their packets are counted, and their flags are kept.
func TestNotFollowed(t *testing.T) {
	limits := limits()
	limits.MaxTracked = 1
	r := play(t, frames(t, `
		0.00 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
		0.00 10.0.0.3:4000 > 10.0.0.2:80 S seq=100
		0.00 10.0.0.4:4000 > 10.0.0.2:80 S seq=100
		0.00 10.0.0.5:4000 > 10.0.0.2:80 S seq=100
		0.02 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
		0.03 10.0.0.2:80 > 10.0.0.3:4000 SA seq=500 ack=101
		0.05 10.0.0.3:4000 > 10.0.0.2:80 A seq=101 ack=501
		0.06 10.0.0.3:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
		0.07 10.0.0.2:80 > 10.0.0.3:4000 FA seq=501 ack=106
		0.08 10.0.0.3:4000 > 10.0.0.2:80 FA seq=106 ack=502
		1.00 10.0.0.4:4000 > 10.0.0.2:80 S seq=100
		1.01 10.0.0.2:80 > 10.0.0.4:4000 R seq=0
		1.02 10.0.0.5:4000 > 10.0.0.2:80 R seq=101`), limits)
	check(t, "flows", r.flows, `10.0.0.1:4000 > 10.0.0.2:80 tcp S1 Sh syn capture_end 1/1
		10.0.0.3:4000 > 10.0.0.2:80 tcp SF Sh syn closed 4/2 payload=5/0
		10.0.0.4:4000 > 10.0.0.2:80 tcp REJ Sr syn reset 2/1 syns=2 reset=server@12,ttl=64 odd
		10.0.0.5:4000 > 10.0.0.2:80 tcp RSTOS0 SR syn reset 2/0 reset=client@13,ttl=64`)
}

// A flood of one-packet flows must not grow the table past its limit, with or
// without copies of each packet, tags that change, or data that is followed.
func TestTableBounded(t *testing.T) {
	const flood, most = 300_000, 10_000
	for _, c := range []struct {
		name   string
		packet func(i int) header
		twice  bool
	}{
		{"SYNs", func(i int) header { return header{kind: "S", seq: uint32(i)} }, false},
		{"SYNs and copies", func(i int) header { return header{kind: "S", seq: uint32(i)} }, true},
		{"data", func(i int) header { return header{kind: "PA", seq: uint32(i), data: []byte("?hello")} }, false},
		{"tags", func(i int) header { return header{kind: "S", vlan: uint16(i % 4096)} }, false},
		{"datagrams", func(i int) header { return header{kind: "udp", data: []byte("hello")} }, false},
		{"fragments", func(i int) header {
			return header{kind: "udp", id: uint16(i), size: 64, part: 32, more: true}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := limits()
			limits.MaxFlows, limits.MaxTracked = most, most/4
			rec := &recorder{}
			set := dissect.NewSet([]dissect.Dissector{rec.dissector()}, &dissect.Context{}, limits.MaxBuffered)
			handed := uint64(0)
			table := NewTable(Config{Limits: limits}, set, func(list iter.Seq[*Flow]) {
				for range list {
					handed++
				}
			})
			began := time.Now()
			server := netip.MustParseAddrPort("10.200.0.1:80")
			var batch []pcaps.Packet
			for i := range flood {
				h := c.packet(i)
				h.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(1024+i%50000))
				h.dst = server
				if h.id == 0 {
					h.id = 7
				}
				p := pcaps.Packet{Link: pcaps.LinkEthernet, Data: h.frame(), Time: epoch + int64(i)*1000, Frame: pcaps.FrameID(i + 1)}
				p.WireLen = len(p.Data)
				batch = append(batch, p)
				if c.twice {
					batch = append(batch, p)
				}
				if len(batch) >= 64 {
					table.Add(batch)
					batch = batch[:0]
				}
				rec.log = rec.log[:0]
			}
			table.Add(batch)
			if table.used > most || table.extraN > most/4 || len(table.slots) > 4*most || len(table.tagSets) > 4097 {
				t.Errorf("%d records, %d extras, %d slots, %d sets of tags", table.used, table.extraN, len(table.slots), len(table.tagSets))
			}
			if n := table.buffered + set.Held() + table.parts.bytes; n > limits.MaxBuffered+maxPartBytes {
				t.Errorf("%d bytes of payload kept", n)
			}
			if n := len(table.parts.order); n > maxDatagrams {
				t.Errorf("%d datagrams open", n)
			}
			table.Finish()
			if s := table.Stats(); handed != s.Flows || handed < flood {
				t.Errorf("%d flows handed over, %d begun, want at least %d", handed, s.Flows, flood)
			}
			// Some 0.3 s here, frames included. A table that makes room for every
			// packet would take minutes.
			if d := time.Since(began); d > 30*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
}

// What waits in flows that are over does not take the room of others: bytes of
// no known protocol, and bytes behind a hole.
func TestReclaim(t *testing.T) {
	undecided := dissect.Dissector{
		Name: "undecided", Over: dissect.TCP,
		Probe: func(dissect.Dir, []byte) dissect.Match { return dissect.Maybe },
	}
	var script strings.Builder
	for i := range 3000 {
		at := func(ms int) string { return fmt.Sprintf("%.3f ", float64(i*10+ms)/1000) }
		client, server := fmt.Sprintf("10.0.%d.%d:4000", i>>8, i&255), "10.1.0.1:9000"
		script.WriteString(at(0) + client + " > " + server + " S seq=100\n")
		script.WriteString(at(1) + server + " > " + client + " SA seq=500 ack=101\n")
		script.WriteString(at(2) + client + " > " + server + " A seq=101 ack=501 len=100\n")
		script.WriteString(at(3) + client + " > " + server + " A seq=301 ack=501 len=100\n")
		script.WriteString(at(4) + client + " > " + server + " FA seq=401 ack=501\n")
		script.WriteString(at(5) + server + " > " + client + " FA seq=501 ack=402\n")
	}
	packets := frames(t, script.String())
	limits := limits()
	limits.MaxBuffered = 64 << 10
	set := dissect.NewSet([]dissect.Dissector{undecided}, &dissect.Context{}, limits.MaxBuffered)
	table := NewTable(Config{Limits: limits}, set, func(iter.Seq[*Flow]) {})
	for len(packets) > 0 {
		n := min(len(packets), 32)
		table.Add(packets[:n])
		packets = packets[n:]
		// Some 100 flows of 200 bytes are within the grace at any time.
		if n := table.buffered + set.Held(); n > limits.MaxBuffered*7/8 {
			t.Fatalf("%d bytes kept of flows that are over", n)
		}
	}
}

// noting learns one thing of every flow and reads on until it is over.
type noting struct{}

func (noting) Parse(_ dissect.Dir, b []byte, facts *dissect.Facts) (int, error) {
	facts.Add(dissect.HTTPHost, b[:8])
	return len(b), nil
}

func (noting) Gap(dissect.Dir, []byte, uint64, *dissect.Facts) (uint64, bool) { return 0, true }

func (noting) Close(facts *dissect.Facts) { facts.SetFlag(dissect.HTTPCookie, true) }

// What it takes to read a connection is used again once it is over, and what was
// learned stays.
func TestReadingIsUsedAgain(t *testing.T) {
	reads := dissect.Dissector{
		Name: "noted", Over: dissect.TCP,
		Probe: func(dissect.Dir, []byte) dissect.Match { return dissect.Yes },
		New:   func(*dissect.Context) dissect.Parser { return noting{} },
	}
	const connections = 50
	var script strings.Builder
	for i := range connections {
		at := func(ms int) string { return fmt.Sprintf("%.3f ", float64(i*2000+ms)/1000) }
		client, server := fmt.Sprintf("10.0.0.1:%d", 50000+i), "10.1.0.1:9000"
		script.WriteString(at(0) + client + " > " + server + " S seq=100\n")
		script.WriteString(at(1) + server + " > " + client + " SA seq=500 ack=101\n")
		script.WriteString(at(2) + client + " > " + server + fmt.Sprintf(" PA seq=101 ack=501 data=host%04d\n", i))
		script.WriteString(at(3) + client + " > " + server + " FA seq=109 ack=501\n")
		script.WriteString(at(4) + server + " > " + client + " FA seq=501 ack=110\n")
	}
	packets := frames(t, script.String())
	set := dissect.NewSet([]dissect.Dissector{reads}, &dissect.Context{}, 1<<20)
	seen := 0
	table := NewTable(Config{Limits: limits()}, set, func(all iter.Seq[*Flow]) {
		for f := range all {
			if want := fmt.Sprintf("host%04d", seen); f.App != "noted" || f.Facts.Text(dissect.HTTPHost) != want || !f.Facts.Has(dissect.HTTPCookie) {
				t.Errorf("flow %d: app %q, learned %q, want %q", f.ID, f.App, f.Facts.Text(dissect.HTTPHost), want)
			}
			seen++
		}
	})
	for i := range packets {
		table.Add(packets[i : i+1])
	}
	if n := len(table.states); n > 2 {
		t.Errorf("%d states are ready, of connections that came one after another", n)
	}
	table.Finish()
	if seen != connections {
		t.Errorf("%d flows, want %d", seen, connections)
	}
}

// A hole that is never filled costs a bounded number of bytes, and once it is
// filled, what was held is not kept alive by what is still held behind it.
func TestHeldBounded(t *testing.T) {
	for _, size := range []int{1, 100, 1400} {
		var script strings.Builder
		script.WriteString(handshake)
		for i := range 2000 {
			fmt.Fprintf(&script, "1.%04d 10.0.0.1:4000 > 10.0.0.2:80 A seq=%d ack=501 len=%d\n", i, 1000+i*2*size, size)
		}
		r := play(t, frames(t, script.String()), limits())
		consistent(t, fmt.Sprint(size), r, frames(t, script.String()))
		gaps, bytes := 0, 0
		for _, l := range r.log {
			if strings.HasPrefix(l, "> gap") {
				gaps++
			} else {
				bytes += len(l) - 2
			}
		}
		// The gap before the first byte is not the parser's: there is none yet.
		if gaps != 1999 || bytes != 2000*size {
			t.Errorf("segments of %d bytes: %d gaps, %d bytes delivered, want 1999 and %d", size, gaps, bytes, 2000*size)
		}
	}

	limits := limits()
	table := NewTable(Config{Limits: limits}, dissect.NewSet([]dissect.Dissector{(&recorder{}).dissector()}, &dissect.Context{}, limits.MaxBuffered), func(iter.Seq[*Flow]) {})
	packets := frames(t, handshake+`
		1.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=200 ack=501 len=700
		1.2 10.0.0.1:4000 > 10.0.0.2:80 A seq=1300 ack=501 len=10
		1.3 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=99`)
	table.Add(packets[:5])
	x := table.extra(table.record(0)).makeRare()
	first := weak.Make(&x.held[0][0].data[0])
	table.Add(packets[5:])
	runtime.GC()
	if len(x.held[0]) != 1 || table.buffered != 10 || first.Value() != nil {
		t.Errorf("%d segments, %d bytes held, want 1 and 10; what was delivered is kept: %t", len(x.held[0]), table.buffered, first.Value() != nil)
	}
}

// The copies of full segments are used again, one after the other and as they were
// delivered, and no more of them are kept than that.
func TestKeptAgain(t *testing.T) {
	rec := &recorder{}
	set := dissect.NewSet([]dissect.Dissector{rec.dissector()}, &dissect.Context{}, 1<<20)
	table := NewTable(Config{Limits: limits()}, set, func(iter.Seq[*Flow]) {})
	script := handshake
	for i := range 10 { // a hole, what is behind it, and what was missing
		at := 101 + i*2400
		script += fmt.Sprintf("%d.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=%d ack=501 len=1200\n%d.2 10.0.0.1:4000 > 10.0.0.2:80 A seq=%d ack=501 len=1200\n", 1+i, at+1200, 1+i, at)
	}
	packets := frames(t, script)
	table.Add(packets)
	if len(table.unkept) != 2 || table.buffered != 0 { // what was missing is held, too, on its way
		t.Errorf("%d copies wait to be used, %d bytes are held, want 2 and 0", len(table.unkept), table.buffered)
	}
	table.Finish()
	if got := strings.ReplaceAll(strings.Join(rec.log, ""), "> ", ""); got != string(placed(101, 24000)) {
		t.Errorf("delivered %d bytes, not those that were sent", len(got))
	}
}

// Reordering that the window of the fragments cannot explain is still cheap:
// descending segments are the worst order for a sorted list.
func TestHeldDescending(t *testing.T) {
	var script strings.Builder
	script.WriteString(handshake)
	for i := 200; i >= 0; i-- {
		fmt.Fprintf(&script, "1.%04d 10.0.0.1:4000 > 10.0.0.2:80 A seq=%d ack=501 len=10\n", 200-i, 101+i*10)
	}
	r := play(t, frames(t, script.String()), limits())
	if got, want := strings.ReplaceAll(strings.Join(r.log, ""), "> ", ""), string(placed(101, 2010)); got != want {
		t.Errorf("delivered %q", got)
	}
}

// What waits for its dissection to end is bounded where time stands still, and
// forgotten where it goes on.
func TestEndedIsBounded(t *testing.T) {
	var script strings.Builder
	ends := func(at string, port, n int) {
		for i := range n {
			client := fmt.Sprintf("10.1.%d.%d:%d", i/250, 1+i%250, port)
			fmt.Fprintf(&script, "%s %s > 10.0.0.2:80 S seq=100\n%s 10.0.0.2:80 > %s SA seq=500 ack=101\n", at, client, at, client)
			fmt.Fprintf(&script, "%s %s > 10.0.0.2:80 A seq=101 ack=501 len=4\n%s 10.0.0.2:80 > %s R seq=501\n", at, client, at, client)
		}
	}
	small := limits()
	small.MaxFlows, small.MaxTracked = 40, 40
	ends("1.000", 4000, 1000)
	r := play(t, frames(t, script.String()), small)
	if n := len(r.table.ended.list); n == 0 || n > 2*small.MaxFlows {
		t.Errorf("%d connections wait for the end of their dissection", n)
	}
	for second := range 20 {
		ends(fmt.Sprintf("%d.000", 3+2*second), 4001+second, 10)
	}
	ends("60.000", 5000, 1)
	r = play(t, frames(t, script.String()), small)
	if n := r.table.ended.left(); n > 1 {
		t.Errorf("%d connections wait for the end of their dissection, when only one ended of late", n)
	}
	if len(r.flows) != 1000+200+1 {
		t.Errorf("%d flows", len(r.flows))
	}
}

// What reading a flow took is given back once it is silent: a second after its
// connection ended, however late its last packet came; a flow of datagrams when
// its next packet would begin another.
func TestSilentIsRetired(t *testing.T) {
	script := handshake + `
		2.00 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=10
		2.10 10.0.0.2:80 > 10.0.0.1:4000 FA seq=501 ack=111
		2.20 10.0.0.1:4000 > 10.0.0.2:80 FA seq=111 ack=502
		3.00 10.0.0.2:80 > 10.0.0.1:4000 A seq=502 ack=112
		3.50 10.0.0.1:5000 > 10.0.0.2:9 udp len=10
		4.10 10.0.0.3:5000 > 10.0.0.2:9 udp len=10
		4.20 10.0.0.3:5000 > 10.0.0.2:9 udp len=10
		182.0 10.0.0.1:5000 > 10.0.0.2:9 udp len=10
		185.0 10.0.0.4:5000 > 10.0.0.2:9 udp len=10
		185.1 10.0.0.4:5000 > 10.0.0.2:9 udp len=10
`
	packets := frames(t, script)
	rec := &recorder{}
	set := dissect.NewSet([]dissect.Dissector{rec.dissector()}, &dissect.Context{}, 1<<20)
	table := NewTable(Config{Limits: limits()}, set, func(iter.Seq[*Flow]) {})
	read := func() (n int) {
		for i := range uint32(table.used) {
			if r := table.record(i); r.extra != 0 && table.extra(r).state != nil {
				n++
			}
		}
		return n
	}
	// Behind each packet: how many flows are being read.
	want := []int{0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2}
	for i := range packets {
		table.Add(packets[i : i+1])
		if got := read(); got != want[i] {
			t.Errorf("packet %d at %d ms: %d flows are being read, want %d", i+1, packets[i].Time/1e6, got, want[i])
		}
	}
}

// An end that says what no protocol knows takes nothing while the other end is
// silent, is not read again when that speaks, and does not keep it from being
// recognised.
func TestUnknownTakesNothing(t *testing.T) {
	script := handshake + `
		1.0 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=?what
		1.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 data=more
		1.2 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=110 data=hello
		1.3 10.0.0.1:4000 > 10.0.0.2:80 A seq=110 ack=506 data=again
`
	packets := frames(t, script)
	rec := &recorder{}
	set := dissect.NewSet([]dissect.Dissector{rec.dissector()}, &dissect.Context{}, 1<<20)
	var app string
	table := NewTable(Config{Limits: limits()}, set, func(all iter.Seq[*Flow]) {
		for f := range all {
			app = f.App
		}
	})
	want := []int{0, 0, 0, 0, 0, 1, 1} // how many flows are being read behind each packet
	for i := range packets {
		table.Add(packets[i : i+1])
		n := 0
		if x := table.extra(table.record(0)); x.state != nil {
			n++
		}
		if n != want[i] {
			t.Errorf("packet %d: %d flows are being read, want %d", i+1, n, want[i])
		}
	}
	table.Finish()
	if got := strings.Join(rec.log, ""); got != "< hello" || app != "recorded" {
		t.Errorf("read %q of %q", got, app)
	}
}

// What may follow upon an unknown greeting is read behind it, where the other end
// shows what it is: the greeting was not kept, and what comes next is.
func TestReadBehindGreeting(t *testing.T) {
	rec := &recorder{}
	dissector := rec.dissector()
	dissector.Behind = true
	play(t, frames(t, handshake+`
		1.0 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=?what
		1.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 data=more
		1.2 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=110 data=hello
		1.3 10.0.0.1:4000 > 10.0.0.2:80 A seq=110 ack=506 data=again
		1.4 10.0.0.1:4000 > 10.0.0.2:80 A seq=106 ack=501 data=more # sent again
		1.5 10.0.0.1:4000 > 10.0.0.2:80 A seq=115 ack=506 data=then`), limits(), dissector)
	check(t, "dissection", rec.log, `
		> gap 1
		< hello
		> again
		> then`)
}

// Flows do not depend on the seed of the index, nor on how packets are batched.
func TestDeterministic(t *testing.T) {
	files := captures(t, "lab/site/*.pcap*", "lab/mtls-matrix/*.pcapng")
	small := limits()
	small.MaxFlows, small.MaxTracked, small.MaxBuffered = 40, 20, 8<<10
	for _, file := range files {
		packets := load(t, file)
		for _, limits := range []Limits{limits(), small} {
			first := play(t, packets, limits, dissect.All()...)
			second := playFrom(t, 38, packets, limits, dissect.All()...)
			if !slices.Equal(first.flows, second.flows) {
				t.Errorf("%s: two runs differ", file)
			}
			consistent(t, file, first, packets)
		}
	}
}

// captures lists the captures of the shared set that a pattern names. Without
// the set, the test is skipped.
func captures(t testing.TB, patterns ...string) []string {
	var list []string
	for _, p := range patterns {
		files, err := filepath.Glob(filepath.Join("../../shared", p))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, files...)
	}
	if len(list) == 0 {
		t.Skip("no ../../shared beside the repository: its captures are not tested")
	}
	return list
}

// load reads a whole capture, with whatever it holds up to its damage.
func load(t testing.TB, file string) []pcaps.Packet {
	source, err := pcaps.Open([]string{file}, pcaps.Options{})
	if err != nil {
		t.Logf("%s: %v", file, err)
		return nil
	}
	defer source.Close()
	var all []pcaps.Packet
	batch := make([]pcaps.Packet, 64)
	for {
		n, err := source.Read(batch)
		for _, p := range batch[:n] {
			p.Data = slices.Clone(p.Data)
			all = append(all, p)
		}
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
}

// Of a datagram that the snap length cut before it can be told what it is, the port
// says it.
func TestCutDatagram(t *testing.T) {
	var got []string
	table := NewTable(Config{Limits: limits()}, dissect.NewSet(dissect.All(), &dissect.Context{}, 1<<20), func(all iter.Seq[*Flow]) {
		for f := range all {
			got = append(got, fmt.Sprintf("%s by %s, to %d by %s", f.App, f.AppBasis, f.Server.Port(), f.Oriented))
		}
	})
	bootp := "data=\x01\x01\x06\x00" + strings.Repeat("x", 12)
	table.Add(frames(t, `
		0.0 10.0.0.1:68 > 10.0.0.2:67 udp `+bootp+` cut=2
		1.0 10.0.0.2:67 > 10.0.0.3:68 udp `+bootp+` cut=2
		2.0 10.0.0.4:68 > 10.0.0.2:67 udp `+bootp))
	table.Finish()
	if want := []string{"dhcp by port, to 67 by first_packet", "dhcp by port, to 67 by port", " by , to 67 by first_packet"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What is missing behind all that was delivered is told like any other gap: the
// other end acknowledged it, or a FIN comes behind it.
func TestTailMissing(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"nothing", `
			1.2 10.0.0.1:4000 > 10.0.0.2:80 FA seq=111 ack=506
			1.3 10.0.0.2:80 > 10.0.0.1:4000 FA seq=506 ack=112
			1.4 10.0.0.1:4000 > 10.0.0.2:80 A seq=112 ack=507`, ""},
		{"a FIN", `
			1.2 10.0.0.1:4000 > 10.0.0.2:80 FA seq=111 ack=507`, ""},
		{"what was acknowledged", `
			1.2 10.0.0.1:4000 > 10.0.0.2:80 A seq=111 ack=557`, `
			< gap 50`},
		{"what a FIN comes behind", `
			1.2 10.0.0.2:80 > 10.0.0.1:4000 FA seq=526 ack=111`, `
			< gap 20`},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := &recorder{}
			play(t, frames(t, handshake+`
				1.0 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=recognised
				1.1 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=111 data=reply`+test.script), limits(), rec.dissector())
			check(t, "dissection", rec.log, `
				> recognised
				< reply`+test.want)
		})
	}
}

// Copies made by a mirror do not count among the datagrams that are looked at.
func TestProbedDatagrams(t *testing.T) {
	rec := &recorder{}
	play(t, frames(t, `
		0.000 10.0.0.1:4000 > 10.0.0.2:90 udp data=?what
		0.001 copy
		0.100 10.0.0.1:4000 > 10.0.0.2:90 udp data=?else
		0.101 copy
		0.200 10.0.0.2:90 > 10.0.0.1:4000 udp data=hello
		0.201 copy`), limits(), rec.dissector())
	check(t, "dissection", rec.log, `< hello`)
}

// An association is opened by who sends INIT, whatever the ports (RFC 9260 section 5.1).
func TestAssociationOpened(t *testing.T) {
	packet := func(src, dst uint16, chunk byte) []byte {
		b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src), dst)
		return ipv4(132, b, make([]byte, 8), []byte{chunk, 0, 0, 4})
	}
	for _, c := range []struct {
		name   string
		packet []byte
		client uint16
		by     Orientation
	}{
		{"INIT", packet(1000, 3868, 1), 1000, ByProtocol},
		{"INIT ACK", packet(3868, 1000, 2), 1000, ByProtocol},
		{"data", packet(1000, 3868, 0), 3868, ByPort},
	} {
		table := NewTable(Config{Limits: limits()}, dissect.NewSet(nil, &dissect.Context{}, 1), func(all iter.Seq[*Flow]) {
			for f := range all {
				if f.Client.Port() != c.client || f.Oriented != c.by {
					t.Errorf("%s: %s > %s by %s", c.name, f.Client, f.Server, f.Oriented)
				}
			}
		})
		table.Add([]pcaps.Packet{{Data: c.packet, WireLen: len(c.packet), Link: pcaps.LinkRaw, Frame: pcaps.MakeFrameID(0, 1), Time: 1}})
		if table.Finish(); table.Stats().Flows != 1 {
			t.Errorf("%s: %+v", c.name, table.Stats())
		}
	}
}
