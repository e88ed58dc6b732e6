package report

import (
	"os"
	"testing"
)

func TestGridX(t *testing.T) {
	o := &Options{Width: 60, Color: false}
	writeGrid(os.Stdout, o, 2, []column{{head: "state"}, {head: "edge"}, {head: "n", right: true}, {head: "why", wide: true}}, [][]cell{
		{{"✓ seen", green}, cellOf("agent-messages"), cellOf("12"), cellOf("a long sentence that goes on and on until it is cut")},
		{{"✗ violated", red}, cellOf("agent 漢字"), cellOf("1,212"), cellOf("short")},
	})
	o.Color = true
	writeGrid(os.Stdout, o, 2, []column{{head: ""}, {head: ""}, {head: "", right: true}, {head: "", wide: true}}, [][]cell{
		{{"✓ seen", green}, cellOf("agent-messages"), cellOf("12"), cellOf("a long sentence that goes on and on until it is cut")},
		{{"✗ violated", red}, cellOf("agent 漢字"), cellOf("1,212"), {"short and then some more text that wraps", dim}},
	})
}
