package rules

import (
	"net/netip"
	"strings"
	"testing"
)

func builtinForTest(t testing.TB) *Diagram {
	t.Helper()
	d, ok := Builtin(DefaultDiagram)
	if !ok {
		t.Fatal("there is no default diagram")
	}
	return d
}

func TestInventory(t *testing.T) {
	d := builtinForTest(t)
	inv, err := ParseInventory("inv.yaml", []byte(`
version: 1
hosts:
  - {address: 10.0.0.0/8, name: site, dynamic_ports: 32768-60999}
  - {address: [10.20.30.11, "fd20:30::b"], name: ms, roles: [management-server, catalog]}
  - {address: 10.20.30.99, roles: []}
  - {address: 10.20.40.0/24, not_roles: [agent]}
  - {match_name: "*.example", roles: cloud}
  - {match_name: "*.backup.example", roles: [backup-gateway]}
`), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addr, names, name, roles, not string
		pinned                        bool
	}{
		{"10.1.1.1", "a.example", "site", "", "", false},
		{"10.20.30.11", "", "ms", "management-server catalog", "", true},
		{"::ffff:10.20.30.11", "", "ms", "management-server catalog", "", true},
		{"fd20:30::b", "", "ms", "management-server catalog", "", true},
		{"10.20.30.99", "", "", "", "", true},
		{"10.20.40.7", "", "", "", "agent", false},
		{"192.0.2.1", "other.test a.example", "", "cloud", "", true},
		{"192.0.2.1", "a.backup.example", "", "backup-gateway", "", true},
	} {
		pin := inv.Host(netip.MustParseAddr(c.addr), strings.Fields(c.names))
		if pin == nil {
			t.Errorf("%s %s: not found", c.addr, c.names)
			continue
		}
		roles, not := strings.Join(idsOf(pin.Roles), " "), strings.Join(idsOf(pin.NotRoles), " ")
		if pin.Name != c.name || roles != c.roles || not != c.not || pin.Pinned != c.pinned {
			t.Errorf("%s %s: %+v", c.addr, c.names, pin)
		}
	}
	if inv.Host(netip.MustParseAddr("192.0.2.1"), []string{"other.test"}) != nil {
		t.Error("a host that no entry matches was found")
	}
	if pin := inv.Host(netip.MustParseAddr("10.1.1.1"), nil); pin == nil || len(pin.DynamicPorts) != 1 || pin.DynamicPorts[0] != (PortRange{32768, 60999}) {
		t.Errorf("dynamic ports: %+v", pin)
	}
	var none *Inventory
	if none.Host(netip.MustParseAddr("10.1.1.1"), nil) != nil {
		t.Error("a nil inventory knows something")
	}
}

func idsOf(list []*Component) (ids []string) {
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids
}

const mistakenInventory = `version: 1
hosts:
  - {address: 10.0.0.1, name: a}
  - {address: 10.0.0.1/32, name: b} # wrong: address "10.0.0.1/32" is already on line 3
  - {address: 10.0.0.300, name: c} # wrong: "10.0.0.300" is no address and no prefix
  - {address: 10.0.0.2, roles: [agents]} # wrong: role "agents" is not in the diagram acronis-cyber-protect (did you mean "agent"?)
  - {address: 10.0.0.3, not_roles: [printer]} # wrong: role "printer" is not in the diagram
  - {address: 10.0.0.4, role: [agent]} # wrong: unknown key "role" in a host (did you mean "roles"?)
  - {address: 10.0.0.5} # wrong: a host says nothing
  - {name: d} # wrong: a host has no "address" and no "match_name"
  - {address: 10.0.0.6, roles: } # wrong: key "roles" of a host has no value
  - {address: 10.0.0.7, dynamic_ports: 1-99999} # wrong: "99999" is no port
  - {match_name: "a b", roles: []} # wrong: ' ' cannot be in a host name
  - {address: 10.0.0.8, roles: [agent], not_roles: [agent]} # wrong: role "agent" is in roles and in not_roles
  - 10.0.0.9 # wrong: a host must be keys with values, not "10.0.0.9"
`

func TestInventoryMistakes(t *testing.T) {
	_, err := ParseInventory("inv.yaml", []byte(mistakenInventory), builtinForTest(t))
	list, ok := err.(Mistakes)
	if !ok {
		t.Fatalf("no Mistakes but %v", err)
	}
	var first Mistakes // a line that cannot be used may also be said to say nothing
	for _, m := range list {
		if len(first) == 0 || first[len(first)-1].Line != m.Line {
			first = append(first, m)
		}
	}
	compareMistakes(t, mistakenInventory, first)
}

func FuzzInventory(f *testing.F) {
	f.Add([]byte(mistakenInventory))
	f.Add([]byte("version: 1\nhosts:\n- {address: [10.0.0.0/8, \"fd00::/8\"], roles: [], dynamic_ports: [1-2, 7]}\n- {match_name: \"*.x\", roles: [agent]}\n"))
	d := builtinForTest(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		inv, err := ParseInventory("x", b, d)
		if (inv == nil) != (err != nil) {
			t.Fatalf("inventory %v, error %v", inv, err)
		}
		inv.Host(netip.MustParseAddr("10.0.0.1"), []string{"a.x"})
	})
}
