package rules

import (
	"strings"
	"testing"
)

func TestBuiltinDiagrams(t *testing.T) {
	for _, name := range BuiltinNames() {
		text, _ := BuiltinText(name)
		d, err := Parse(name, []byte(text))
		if err != nil {
			t.Errorf("%s:\n%v", name, err)
			continue
		}
		if own := d.Parts[len(d.Parts)-1].Name; own != name {
			t.Errorf("%s calls itself %q", name, own)
		}
		for _, e := range d.Edges {
			if e.Source == "" || len(e.To) == 0 || len(e.Over) == 0 {
				t.Errorf("%s: edge %s has no source, no server or no service", name, e.ID)
			}
		}
	}
}

// The ids are promises to users: audits are compared by them.
func TestDefaultDiagram(t *testing.T) {
	d, ok := Builtin(DefaultDiagram)
	if !ok {
		t.Fatal("there is no default diagram")
	}
	var edges, components []string
	for _, e := range d.Edges {
		edges = append(edges, e.ID)
	}
	for _, c := range d.Components {
		components = append(components, c.ID)
	}
	const wantEdges = "agent-messages storage-node-messages agent-rest console-rest updates-http updates-https agent-backup catalog-index " +
		"storage-node-backend-smb storage-node-backend-nfs storage-node-backend-iscsi storage-node-backend-s3 catalog-search gateway-backup " +
		"cloud-backup gateway-management agent-smb agent-nfs vmware-api vmware-nfc agent-cloud data-centre-ping"
	if got := strings.Join(edges, " "); got != wantEdges {
		t.Errorf("edges\n got %s\nwant %s", got, wantEdges)
	}
	const wantComponents = "management-server storage-node catalog backup-gateway agent agent-for-vmware vsphere file-service backend-storage cloud console"
	if got := strings.Join(components, " "); got != wantComponents {
		t.Errorf("components\n got %s\nwant %s", got, wantComponents)
	}
}
