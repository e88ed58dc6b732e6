// Benchmark makes the four workloads by which wirechart is measured and
// measures it on them, beside a program that only reads (limit/limit.c).
//
//	go run ./cmd/benchmark gen [-scale 1] W1|W2|W3|W4 FILE
//	go run ./cmd/benchmark live [-bin bin/wirechart] [-rates 50,100,0] [-quota 0,10]
//	go run ./cmd/benchmark run [-n 3] [-scale 1] [-bin bin/wirechart] [-floor W1=4,W3bytes=256]
//
// The workloads are made, not recorded, and the same seed gives the same bytes
// everywhere. docs/performance.md says what each of them is for.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
)

const usage = `usage: benchmark gen [-scale X] W1|W2|W3|W4 FILE
       benchmark run [-n N] [-only W1,W3] [-scale X] [-bin PROGRAM] [-dir DIR] [-floor LIST] [-formats] [-peers] [-record FILE]
       benchmark live [-bin PROGRAM] [-rates 50,100,0] [-seconds N] [-quota 0,10] [-only NAME]
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "gen":
		err = generate(os.Args[2:])
	case "run":
		err = run(os.Args[2:])
	case "live":
		err = runLive(os.Args[2:])
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
}

// generate writes one workload, and prints what it holds as one line of JSON.
func generate(args []string) error {
	flags := flag.NewFlagSet("gen", flag.ExitOnError)
	scale := flags.Float64("scale", 1, "share of the packets and flows to make")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return fmt.Errorf("gen takes a workload and a file, not %d words", flags.NArg())
	}
	load, ok := workloadByName(flags.Arg(0))
	if !ok {
		return fmt.Errorf("no workload %q; there are %s", flags.Arg(0), strings.Join(workloadNames(), ", "))
	}
	size, err := writeWorkload(load, flags.Arg(1), *scale)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(size)
}
