package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"wirechart/report"
	"wirechart/rules"
	"wirechart/rules/firewall"
)

// firewallOptions are the flags of rules.
type firewallOptions struct {
	options
	plan   firewall.Options
	verify string
	hook   string
}

func rulesCommand(status *int) *cobra.Command {
	o := &firewallOptions{}
	cmd := &cobra.Command{
		Use:   "rules AUDIT",
		Short: "firewall rules for the documented connections of an audit; --verify checks existing ones",
		Long: `rules reads an audit that was written with -o json and writes the minimal firewall
rules for its documented connections, between the hosts that were found or that an
inventory pins. What is documented and was never used, and what was used and is not
documented, is listed in comments: neither is allowed.

  wirechart audit -o json --output audit.json site.pcapng
  wirechart rules audit.json --format nftables
  nft -j list ruleset > now.json; wirechart rules audit.json --verify now.json

With --verify it says which documented connections a ruleset of nftables blocks and
what else it lets through.

Exit status: 0 done, 1 --verify found something, 2 the job could not be done.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("rules: name one audit (wirechart audit -o json writes it)")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRules(cmd, o, args[0], status)
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&o.format, "format", "o", firewall.Formats()[0].Name, "write as `FORMAT`: "+strings.Join(firewall.Names(), ", ")+"; with --verify: text or json")
	fs.StringVar(&o.output, "output", "", "write to `FILE` instead of standard output, whole or not at all")
	fs.StringVar(&o.inventory, "inventory", "", "`FILE` that says which hosts have which roles, seen or not")
	fs.BoolVar(&o.plan.Unused, "unused", false, "also allow documented connections that were not seen, where the hosts of both ends are known")
	fs.BoolVar(&o.plan.Ambient, "ambient", false, "also allow the ordinary infrastructure that was seen (DNS, NTP, ...)")
	fs.BoolVar(&o.plan.PerEdge, "per-edge", false, "one rule for each edge; otherwise rules that belong together are one")
	fs.StringVar(&o.verify, "verify", "", "check the nftables ruleset in `FILE` (nft -j list ruleset) instead of writing one")
	fs.StringVar(&o.hook, "hook", "forward", "with --verify: the `HOOK` that connections pass: forward, input or output")
	return cmd
}

func runRules(cmd *cobra.Command, o *firewallOptions, name string, status *int) error {
	format, ok := firewall.Named(o.format)
	switch {
	case o.verify != "" && cmd.Flags().Changed("format") && o.format != "text" && o.format != "json":
		return fmt.Errorf("--format %s: with --verify one of text, json", o.format)
	case o.verify == "" && !ok:
		return unknownWord("--format", "format", o.format, firewall.Names())
	}
	doc, err := report.ReadAuditFile(name)
	if err != nil {
		return ofFile("", name, err)
	}
	var inv *rules.Inventory
	if o.inventory != "" {
		if inv, err = rules.LoadInventory(o.inventory, doc.Components()); err != nil {
			return ofFile("--inventory", o.inventory, err)
		}
	}
	site, err := report.FirewallSite(name, doc, inv)
	if err != nil {
		return err
	}
	plan := firewall.NewPlan(site, o.plan)
	var check *firewall.Verification
	if o.verify != "" {
		text, err := os.ReadFile(o.verify)
		if err != nil {
			return ofFile("--verify", o.verify, err)
		}
		set, err := firewall.ReadRuleset(o.verify, text, o.hook)
		if err != nil {
			return ofFile("--verify", o.verify, err)
		}
		check = firewall.Verify(plan, set)
	}
	out, err := newOutput(cmd.OutOrStdout(), o.output, "never", report.Format{})
	if err != nil {
		return err
	}
	defer out.abandon()
	switch {
	case check == nil:
		err = format.Write(out, plan)
	case o.format == "json":
		var b []byte
		if b, err = json.MarshalIndent(check, "", "  "); err == nil {
			_, err = out.Write(append(b, '\n'))
		}
	default:
		_, err = io.WriteString(out, check.Text())
	}
	if err := out.finish(err); err != nil {
		return err
	}
	if check != nil && len(check.Problems) > 0 {
		*status = exitFindings
	}
	return nil
}
