package flows

import (
	"bufio"
	"encoding/json"
	"iter"
	"os"
	"strings"
	"testing"

	"wirechart/dissect"
)

// ids are the Community IDs of what a script leads to.
func ids(t testing.TB, script string) []string {
	var list []string
	set := dissect.NewSet(nil, &dissect.Context{}, 1<<20)
	table := NewTable(Config{Limits: limits()}, set, func(flows iter.Seq[*Flow]) {
		for f := range flows {
			list = append(list, f.CommunityID())
		}
	})
	table.Add(frames(t, script))
	table.Finish()
	return list
}

func TestCommunityID(t *testing.T) {
	for _, c := range []struct{ script, id string }{
		// From the baselines of github.com/corelight/community-id-spec, both
		// directions where both were captured.
		{"0 128.232.110.120:34855 > 66.35.250.204:80 S", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"0 66.35.250.204:80 > 128.232.110.120:34855 SA", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"0 [2001:470:e5bf:dead:4957:2174:e82c:4887]:63943 > [2607:f8b0:400c:c03::1a]:25 S", "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
		{"0 192.168.1.52:54585 > 8.8.8.8:53 udp len=28", "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{"0 8.8.8.8:53 > 192.168.1.52:54585 udp len=28", "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{"0 192.168.0.89:0 > 192.168.0.1:0 icmp:8/0", "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"0 192.168.0.1:0 > 192.168.0.89:0 icmp:0/0", "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"0 [3ffe:507:0:1:200:86ff:fe05:80da]:0 > [3ffe:501:0:1001::2]:0 icmp:128/0", "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
		{"0 [3ffe:501:0:1001::2]:0 > [3ffe:507:0:1:200:86ff:fe05:80da]:0 icmp:129/0", "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
		{"0 [fe80::200:86ff:fe05:80da]:0 > [fe80::260:97ff:fe07:69ea]:0 icmp:135/0", "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{"0 [fe80::260:97ff:fe07:69ea]:0 > [fe80::200:86ff:fe05:80da]:0 icmp:136/0", "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{"0 [fe80::260:97ff:fe07:69ea]:0 > [fe80::200:86ff:fe05:80da]:0 icmp:135/0", "1:zavyT/cezQr1fmImYCwYnMXbgck="},
		{"0 [fe80::200:86ff:fe05:80da]:0 > [ff02::2]:0 icmp:133/0", "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="},
		{"0 [fe80::260:97ff:fe07:69ea]:0 > [ff02::1]:0 icmp:134/0", "1:pkvHqCL88/tg1k4cPigmZXUtL00="},
		{"0 [3ffe:501:1800:2345::2]:0 > [3ffe:507:0:1:200:86ff:fe05:80da]:0 icmp:3/0", "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="},
		{"0 [3ffe:501:410:0:2c0:dfff:fe47:33e]:0 > [3ffe:507:0:1:200:86ff:fe05:80da]:0 icmp:1/4", "1:hLZd0XGWojozrvxqE0dWB1iM6R0="},
		{"0 10.0.0.1:0 > 10.0.0.2:0 icmp:11/0", "1:YHxtAirCG//0OzkcVAukqKQN9xM="},
		{"0 192.168.170.8:0 > 192.168.170.56:0 ip:132 data=\x00\x07\x00\x07verichsum", "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
		{"0 10.1.12.1:0 > 10.1.12.2:0 ip:46 len=8", "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
		{"0 10.1.12.2:0 > 10.1.12.1:0 ip:46 len=8", "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
		// What the baselines lack, as Wireshark's implementation has it.
		{"0 10.0.0.2:0 > 10.0.0.1:0 icmp:14/0 len=64", "1:6zK3cgZa+RmEpj3VhWmGXnOWUZk="},
		{"0 10.0.0.1:0 > 10.0.0.2:0 icmp:13/0 len=64", "1:6zK3cgZa+RmEpj3VhWmGXnOWUZk="},
		{"0 10.0.0.2:0 > 10.0.0.1:0 icmp:3/13 len=64", "1:CexWH6GSBcXiLx2d+IZvIa3TwzY="},
		{"0 10.0.0.1:0 > 10.0.0.2:0 icmp:10/0 len=64", "1:qhJTvE/Qez7ZPSOGlcKJAzRpSO0="},
		{"0 10.0.0.2:0 > 10.0.0.1:0 icmp:5/1 len=64", "1:WS9EzHj22/Jh5B6YJ2HOaL9/M4g="},
		{"0 10.0.0.2:0 > 10.0.0.1:0 icmp:16/0 len=64", "1:cB4rCi6yiOWeiOghtxw4EOnHisM="},
		{"0 10.0.0.2:0 > 10.0.0.1:0 icmp:18/0 len=64", "1:pBxqyIdNW2nuGKUHpPBwrujq1iE="},
		{"0 [fd00::2]:0 > [fd00::1]:0 icmp:131/0 len=64", "1:D96O7Qc1LcI1Tw+lZgpYtNyvMso="},
		{"0 [fd00::2]:0 > [fd00::1]:0 icmp:140/0 len=64", "1:p4LPIr+bLIT9amE0x4xRHdjxKKQ="},
		{"0 [fd00::1]:0 > [fd00::2]:0 icmp:144/0 len=64", "1:y2giN44OCR/PilnQJrrE+KaW3v4="},
		{"0 127.0.0.1:4000 > 127.0.0.1:80 S len=64", "1:8JS+I7AMVLCpbXkYysHYXjfrROE="},
		{"0 127.0.0.1:80 > 127.0.0.1:4000 SA len=64", "1:8JS+I7AMVLCpbXkYysHYXjfrROE="},
		{"0 10.0.0.2:0 > 10.0.0.1:0 udp len=64", "1:jOeOfpKNQZepODRfsEA0OkcXUNI="},
	} {
		if got := ids(t, c.script); len(got) != 1 || got[0] != c.id {
			t.Errorf("%s: %q, want %s", c.script, got, c.id)
		}
	}
}

// The flows of every capture of the shared set, as tshark names them.
func TestCommunityIDCorpus(t *testing.T) {
	captures(t, "corpus/truth/flows.jsonl")
	truth, err := os.Open("../../shared/corpus/truth/flows.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer truth.Close()
	want := map[string][]string{}
	lines := bufio.NewScanner(truth)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row struct {
			File, Proto string
			ID          string `json:"community_id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if row.ID != "" && strings.HasPrefix(row.File, "corelight+community-id-spec/") {
			want[row.File] = append(want[row.File], row.ID)
		}
	}
	if err := lines.Err(); err != nil || len(want) == 0 {
		t.Fatalf("%d captures with Community IDs, %v", len(want), err)
	}
	for file, list := range want {
		got := map[string]bool{}
		set := dissect.NewSet(nil, &dissect.Context{}, 1<<20)
		table := NewTable(Config{Limits: limits()}, set, func(flows iter.Seq[*Flow]) {
			for f := range flows {
				got[f.CommunityID()] = true
			}
		})
		table.Add(load(t, "../../shared/corpus/captures/"+file))
		table.Finish()
		for _, id := range list {
			if !got[id] {
				t.Errorf("%s: no flow %s", file, id)
			}
		}
	}
}
