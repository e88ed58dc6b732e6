package report

import (
	"fmt"
	"io"
	"strings"

	"wirechart/pcaps"
)

// InterfacesSchema names the document of the interfaces.
const InterfacesSchema = "wirechart/interfaces/v1"

type interfacesDoc struct {
	Schema     string         `json:"schema"`
	Interfaces []interfaceDoc `json:"interfaces"`
}

type interfaceDoc struct {
	Name      string   `json:"name"`
	Index     int      `json:"index" doc:"the system's number; 0 for any"`
	State     string   `json:"state" doc:"up, down, or no-carrier: up, and nothing at the other end"`
	Loopback  bool     `json:"loopback"`
	Addresses []string `json:"addresses" doc:"with the length of their prefix"`
	Usable    bool     `json:"usable" doc:"whether it can be captured from"`
	With      string   `json:"with,omitempty" doc:"what would capture: ring or pcap"`
	Link      string   `json:"link,omitempty" doc:"link type of its frames"`
	Reason    string   `json:"reason,omitempty" doc:"why it cannot be captured from"`
}

// Interfaces writes the interfaces of this machine, as a table or as JSON.
func Interfaces(w io.Writer, list []pcaps.Interface, asJSON bool, o *Options) error {
	doc := &interfacesDoc{Schema: InterfacesSchema, Interfaces: []interfaceDoc{}}
	for _, i := range list {
		d := interfaceDoc{Name: i.Name, Index: i.Index, State: "down", Loopback: i.Loopback, Addresses: i.Addresses, With: i.With, Reason: i.Reason, Usable: i.With != ""}
		if d.Addresses == nil {
			d.Addresses = []string{}
		}
		if i.Up {
			d.State = "no-carrier"
			if i.Running {
				d.State = "up"
			}
		}
		if d.Usable {
			d.Link = i.Link.String()
		}
		doc.Interfaces = append(doc.Interfaces, d)
	}
	if asJSON {
		return writeJSON(w, doc)
	}
	p := &page{w: w, o: o}
	var rows [][]cell
	for _, d := range doc.Interfaces {
		use := "yes, " + d.Link + " by " + d.With
		if !d.Usable {
			use = d.Reason
		}
		rows = append(rows, []cell{cellOf(d.Name), cellOf(d.State), cellOf(strings.Join(d.Addresses, " ")), cellOf(use)})
	}
	p.grid(0, []column{{head: "interface"}, {head: "state"}, {head: "addresses", wide: true}, {head: "can be captured", wide: true}}, rows)
	if p.err == nil && len(rows) == 0 {
		_, p.err = fmt.Fprintln(w, "no interfaces")
	}
	return p.err
}
