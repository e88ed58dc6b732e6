// Gen makes the samples that are not recorded: variations on the recorded site
// (encapsulated, one-sided, cut, damaged) and a port scan behind it.
//
//	go run ./pcaps/samples/gen                      from pcaps/samples/site.pcapng
//	go run ./pcaps/samples/gen pcapng IN.pcap OUT.pcapng
//
// The same recording gives the same bytes.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

const samples = "pcaps/samples"

func main() {
	var err error
	switch {
	case len(os.Args) == 1:
		err = derive()
	case len(os.Args) == 4 && os.Args[1] == "pcapng":
		err = convert(os.Args[2], os.Args[3])
	default:
		err = fmt.Errorf("usage: gen | gen pcapng IN.pcap OUT.pcapng")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// A frame is what a capture holds of one packet.
type frame struct {
	at   time.Time
	data []byte
}

// convert copies a pcap into a pcapng.
func convert(in, out string) error {
	f, err := os.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	frames, err := readAll(r)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	data, err := pcapng(frames)
	return writeFile(out, data, err)
}

func readAll(r gopacket.PacketDataSource) ([]frame, error) {
	var frames []frame
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return nil, err
		}
		frames = append(frames, frame{info.Timestamp, data})
	}
}

func writeFile(path string, data []byte, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, data, 0o644)
}

// pcapng lays frames out as one section with one interface.
func pcapng(frames []frame) ([]byte, error) {
	var out bytes.Buffer
	section := pcapgo.NgSectionInfo{Application: "wirechart samples", Comment: "documentation addresses; see README.md"}
	link := pcapgo.NgInterface{Name: "br0", LinkType: layers.LinkTypeEthernet, SnapLength: 262144, TimestampResolution: 9}
	w, err := pcapgo.NewNgWriterInterface(&out, link, pcapgo.NgWriterOptions{SectionInfo: section})
	if err != nil {
		return nil, err
	}
	for _, f := range frames {
		info := gopacket.CaptureInfo{Timestamp: f.at, CaptureLength: len(f.data), Length: len(f.data)}
		if err := w.WritePacket(info, f.data); err != nil {
			return nil, err
		}
	}
	err = w.Flush()
	return out.Bytes(), err
}

// pcap lays frames out as a classic file of either byte order and resolution,
// each frame cut to snap bytes.
func pcap(frames []frame, order binary.AppendByteOrder, nanoseconds bool, snap int) ([]byte, error) {
	magic, unit := uint32(0xa1b2c3d4), 1000
	if nanoseconds {
		magic, unit = 0xa1b23c4d, 1
	}
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2) // version 2.4
	b = order.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, uint32(snap))
	b = order.AppendUint32(b, uint32(layers.LinkTypeEthernet))
	for _, f := range frames {
		n := min(len(f.data), snap)
		b = order.AppendUint32(b, uint32(f.at.Unix()))
		b = order.AppendUint32(b, uint32(f.at.Nanosecond()/unit))
		b = order.AppendUint32(b, uint32(n))
		b = order.AppendUint32(b, uint32(len(f.data)))
		b = append(b, f.data[:n]...)
	}
	return b, nil
}

// derive makes every sample but the recorded ones.
func derive() error {
	f, err := os.Open(filepath.Join(samples, "site.pcapng"))
	if err != nil {
		return fmt.Errorf("%w (make samples records it)", err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		return err
	}
	site, err := readAll(r)
	if err != nil {
		return err
	}
	write := func(name string, data []byte, err error) error {
		return writeFile(filepath.Join(samples, name), data, err)
	}

	messages := onPort(site, 7780)
	rest := onPort(site, 9877)
	backup := onPort(site, 9876)
	gateway := onPort(site, 44445)
	tagged, err := pcap(each(rest, tag), binary.BigEndian, true, 262144)
	if err != nil {
		return err
	}
	squeezed, err := squeeze(tagged)
	if err != nil {
		return err
	}
	whole, err := pcap(onPort(site, 9876, 53), binary.LittleEndian, false, 262144)
	if err != nil {
		return err
	}
	damaged, err := pcapng(onPort(site, 9877, 53))
	if err != nil {
		return err
	}
	known := onPort(site, 7780, 9877)
	scanned, err := portScan(known[len(known)-1].at.Add(time.Second))
	if err != nil {
		return err
	}
	vxlan, vxlanErr := pcapng(each(messages, mirror))
	oneway, onewayErr := pcapng(from(backup, net.IPv4(10, 20, 30, 12)))
	midstream, midstreamErr := pcapng(gateway[min(len(gateway), 16):])
	scan, scanErr := pcap(append(known, scanned...), binary.LittleEndian, false, 262144)
	snap, snapErr := pcap(rest, binary.LittleEndian, false, 96)
	for _, err := range []error{
		write("vxlan.pcapng", vxlan, vxlanErr),
		write("vlan.pcap.gz", squeezed, nil),
		write("oneway.pcapng", oneway, onewayErr),
		write("midstream.pcapng", midstream, midstreamErr),
		write("snap96.pcap", snap, snapErr),
		write("cut.pcap", whole[:len(whole)*2/3], nil),
		write("damaged.pcapng", damage(damaged), nil),
		write("scan.pcap", scan, scanErr),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// onPort keeps the frames of TCP or UDP to or from any of these ports.
func onPort(frames []frame, ports ...uint16) []frame {
	var kept []frame
	for _, f := range frames {
		transport := gopacket.NewPacket(f.data, layers.LayerTypeEthernet, gopacket.NoCopy).TransportLayer()
		if transport == nil {
			continue
		}
		src, dst := transport.TransportFlow().Endpoints()
		for _, port := range ports {
			raw := binary.BigEndian.AppendUint16(nil, port)
			if bytes.Equal(src.Raw(), raw) || bytes.Equal(dst.Raw(), raw) {
				kept = append(kept, f)
				break
			}
		}
	}
	return kept
}

// from keeps what one address sent: a mirror that misses the other direction.
func from(frames []frame, sender net.IP) []frame {
	var kept []frame
	for _, f := range frames {
		if bytes.Equal(f.data[26:30], sender.To4()) {
			kept = append(kept, f)
		}
	}
	return kept
}

func each(frames []frame, change func([]byte) []byte) []frame {
	var changed []frame
	for _, f := range frames {
		changed = append(changed, frame{f.at, change(f.data)})
	}
	return changed
}

// tag adds an 802.1Q tag, VLAN 20.
func tag(data []byte) []byte {
	out := append([]byte(nil), data[:12]...)
	out = append(out, 0x81, 0x00, 0, 20)
	return append(out, data[12:]...)
}

// mirror wraps a frame as a switch does that mirrors over VXLAN, network 5001.
func mirror(data []byte) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(192, 0, 2, 11), DstIP: net.IPv4(192, 0, 2, 99)}
	udp := &layers.UDP{SrcPort: 50001, DstPort: 4789}
	out := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true},
		&layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 11}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 99}, EthernetType: layers.EthernetTypeIPv4},
		ip, udp, &layers.VXLAN{ValidIDFlag: true, VNI: 5001}, gopacket.Payload(data))
	if err != nil {
		panic(err) // the layers are ours
	}
	return out.Bytes()
}

// squeeze compresses with gzip; no name and no time go into its header.
func squeeze(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// damage gives a block in the second half of a pcapng a length of almost 4 GiB.
func damage(file []byte) []byte {
	for at := 0; at+8 <= len(file); {
		n := int(binary.LittleEndian.Uint32(file[at+4:]))
		if at > len(file)/2 {
			binary.LittleEndian.PutUint32(file[at+4:], 0xfffffff0)
			return file
		}
		at += n
	}
	return file
}

// portScan is an unknown host that tries the management server's ports, and is
// refused at all but one.
func portScan(start time.Time) ([]frame, error) {
	var frames []frame
	scanner, server := net.IPv4(10, 20, 30, 66).To4(), net.IPv4(10, 20, 30, 11).To4()
	near, far := net.HardwareAddr{2, 0, 10, 20, 30, 66}, net.HardwareAddr{2, 0, 10, 20, 30, 11}
	at := start
	say := func(src, dst net.IP, from, to net.HardwareAddr, tcp *layers.TCP) error {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: src, DstIP: dst}
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			return err
		}
		out := gopacket.NewSerializeBuffer()
		err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			&layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: layers.EthernetTypeIPv4}, ip, tcp)
		frames = append(frames, frame{at, bytes.Clone(out.Bytes())})
		at = at.Add(300 * time.Microsecond)
		return err
	}
	for i, port := range []layers.TCPPort{21, 22, 23, 25, 80, 110, 135, 139, 143, 389, 443, 445, 1433, 3306, 3389, 5432, 5900, 7780, 8080, 8443, 9200, 9876} {
		source := layers.TCPPort(51000 + i)
		sequence := uint32(1000 * (i + 1))
		if err := say(scanner, server, near, far, &layers.TCP{SrcPort: source, DstPort: port, Seq: sequence, SYN: true, Window: 1024}); err != nil {
			return nil, err
		}
		answer := &layers.TCP{SrcPort: port, DstPort: source, Ack: sequence + 1, RST: true, ACK: true}
		if port == 7780 {
			answer = &layers.TCP{SrcPort: port, DstPort: source, Seq: 77, Ack: sequence + 1, SYN: true, ACK: true, Window: 64240}
		}
		if err := say(server, scanner, far, near, answer); err != nil {
			return nil, err
		}
		if port == 7780 {
			if err := say(scanner, server, near, far, &layers.TCP{SrcPort: source, DstPort: port, Seq: sequence + 1, RST: true}); err != nil {
				return nil, err
			}
		}
	}
	return frames, nil
}
