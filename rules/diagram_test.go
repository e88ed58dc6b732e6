package rules

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestServiceString(t *testing.T) {
	for _, want := range []string{"tcp/443", "udp/7770-7800", "sctp/1", "icmp/echo", "icmpv6/echo", "icmp/*", "icmp/3-5", "icmpv6/143", "ip/50", "ip/2"} {
		text := &text{}
		s, ok := text.service(&yaml.Node{Kind: yaml.ScalarNode, Value: want})
		if !ok || s.String() != want {
			t.Errorf("%s came back as %s", want, s)
		}
	}
}

func TestMatchName(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"cloud.example", "cloud.example", true},
		{"cloud.example", "CLOUD.Example.", true},
		{"cloud.example", "a.cloud.example", false},
		{"*.cloud.example", "a.b.cloud.example", true},
		{"*.cloud.example", "cloud.example", false},
		{"*-cloud.example", "eu2-cloud.example", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-b-b-d", false},
		{"100005/*", "100005/3", true},
		{"*", "", true},
		{"", "a", false},
	} {
		if got := MatchName(c.pattern, c.name); got != c.want {
			t.Errorf("%q against %q: %v", c.pattern, c.name, got)
		}
	}
}

func TestAccepts(t *testing.T) {
	for _, c := range []struct {
		r     Requirement
		value string
		want  bool
	}{
		{Requirement{Any: []string{"CURVE"}}, "CURVE", true},
		{Requirement{Any: []string{"CURVE"}}, "NULL", false},
		{Requirement{Any: []string{"sys", "gss"}}, "gss", true},
		{Requirement{Min: "1.2"}, "1.3", true},
		{Requirement{Min: "1.2"}, "1.2", true},
		{Requirement{Min: "1.2"}, "1.1", false},
		{Requirement{Min: "1.2"}, "ssl3", false},
		{Requirement{Min: "1.2"}, "", false},
		{Requirement{Min: "3.0"}, "3.1.1", true},
		{Requirement{Min: "3.0"}, "2.1", false},
		{Requirement{Min: "1.9"}, "1.10", true},
		{Requirement{Min: "3.0"}, "NT LM 0.12", false},
	} {
		if got := c.r.Accepts(c.value); got != c.want {
			t.Errorf("%s, seen %q: %v", c.r.String(), c.value, got)
		}
	}
}
