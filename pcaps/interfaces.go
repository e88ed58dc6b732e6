package pcaps

import (
	"errors"
	"net"
	"runtime"
	"strings"
)

// Interface is a network interface, and whether it can be captured from.
type Interface struct {
	Name      string
	Index     int      // 0 for any
	Addresses []string // with the length of their prefix
	Up        bool     // taken into use
	Running   bool     // and there is a carrier
	Loopback  bool
	Link      LinkType // what its frames begin with; LinkUnknown where it cannot be captured
	With      string   // what would capture: "ring" or "pcap"; empty where it cannot be captured
	Reason    string   // why it cannot be captured
}

// Denied says that it is for lack of permission: see HowToPermit.
func (i *Interface) Denied() bool { return i.Reason == errPermission.Error() }

// Interfaces lists the interfaces of this machine, and tries each: whether it
// can be captured is what opening it says. Nothing is read, and none is put
// into promiscuous mode.
func Interfaces() ([]Interface, error) {
	found, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []Interface
	for _, f := range found {
		i := Interface{
			Name: f.Name, Index: f.Index, Link: LinkUnknown,
			Up: f.Flags&net.FlagUp != 0, Running: f.Flags&net.FlagRunning != 0, Loopback: f.Flags&net.FlagLoopback != 0,
		}
		if addresses, err := f.Addrs(); err == nil {
			for _, a := range addresses {
				i.Addresses = append(i.Addresses, a.String())
			}
		}
		list = append(list, i)
	}
	if runtime.GOOS == "linux" {
		list = append(list, Interface{Name: "any", Up: true, Running: true, Link: LinkUnknown})
	}
	for k := range list {
		list[k].try()
	}
	return list, nil
}

// try opens the interface and closes it again.
func (i *Interface) try() {
	s, err := OpenLive(i.Name, LiveOptions{Buffer: 1, NotPromiscuous: true})
	if errors.Is(err, errPermission) {
		i.Reason = errPermission.Error() // what to do about it is the same for all
		return
	}
	if err != nil {
		i.Reason = strings.TrimPrefix(err.Error(), i.Name+": ")
		return
	}
	file := s.Stats().Files[0]
	i.Link, i.With = file.Links[0], file.With
	s.Close()
}
