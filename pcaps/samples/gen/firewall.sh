#!/usr/bin/env bash
# Records firewall-inside.pcapng and firewall-outside.pcapng: the two sides of a
# real firewall (nftables in a network namespace) that drops, refuses, resets,
# rewrites and delays. Each port is one fate; pcaps/samples/README.md lists them.
#
#   pcaps/samples/gen/firewall.sh [DIRECTORY]     default: pcaps/samples
#
# Needs root, and: iproute2 tcpdump nftables python3. Everything that it makes is
# gone when it ends. Nothing leaves the machine.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:-$here/..}" && pwd)

if [ "$(id -u)" -ne 0 ]; then
	echo "firewall.sh: network namespaces need root: sudo make samples" >&2
	exit 2
fi
missing=()
for need in ip:iproute2 tcpdump:tcpdump nft:nftables python3:python3; do
	command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
	echo "firewall.sh: missing: apt-get install ${missing[*]}" >&2
	exit 2
fi

work=$(mktemp -d)
chmod 777 "$work"
cleanup() {
	set +e
	for ns in in fw out; do
		ip netns pids "wx-$ns" 2>/dev/null | xargs -r kill 2>/dev/null
	done
	sleep 0.5
	for ns in in fw out; do
		ip netns del "wx-$ns" 2>/dev/null
	done
	rm -rf "$work"
}
trap cleanup EXIT

for ns in in fw out; do
	ip netns add "wx-$ns"
	ip -n "wx-$ns" link set lo up
done
# link NS ADDRESS FIREWALL'S: one wire to the firewall.
link() {
	ip -n wx-fw link add "to-$1" type veth peer name eth0 netns "wx-$1"
	ip -n wx-fw addr add "$3/24" dev "to-$1"
	ip -n wx-fw link set "to-$1" up
	ip -n "wx-$1" addr add "$2/24" dev eth0
	ip -n "wx-$1" link set eth0 up
	ip -n "wx-$1" route add default via "$3"
}
link in 10.20.30.22 10.20.30.1
link out 198.51.100.10 198.51.100.1
ip netns exec wx-fw sysctl -qw net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_tcp_loose=1
for ns in in fw out; do
	ip netns exec "wx-$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
done

# 8001 crosses; 8002 dropped; 8003 refused with a reset, 8004 with ICMP; 8005 to a
# port that nobody listens on, refused by the server itself; 8006 crosses and is
# delayed; 8007 its answers dropped; 8008 crosses, then the client's data is
# dropped; 8009 crosses, then is reset; 8010 rewritten (source); 8011 rewritten
# (destination). UDP 9001 crosses, rewritten; 9002 dropped. An echo crosses.
ip netns exec wx-fw nft -f - <<'NFT'
table ip firewall {
	chain forward {
		type filter hook forward priority filter; policy accept;
		tcp dport 8002 drop
		tcp dport 8003 reject with tcp reset
		tcp dport 8004 reject with icmp type admin-prohibited
		tcp sport 8007 drop
		tcp dport 8008 tcp flags & (syn|psh) == psh drop
		tcp dport 8009 tcp flags & (syn|psh) == psh reject with tcp reset
		udp dport 9002 drop
	}
	chain slow {
		type filter hook prerouting priority mangle;
		iifname "to-in" tcp dport 8006 meta mark set 6
	}
	chain before {
		type nat hook prerouting priority dstnat;
		iifname "to-in" tcp dport 8011 dnat to 198.51.100.10:8001
	}
	chain behind {
		type nat hook postrouting priority srcnat;
		oifname "to-out" tcp dport 8010 masquerade random
		oifname "to-out" udp dport 9001 masquerade random
	}
}
NFT
# 30 ms for what goes out to port 8006: by way of a program, for not every kernel
# has netem.
for iface in all default to-in; do
	ip netns exec wx-fw sysctl -qw "net.ipv4.conf.$iface.rp_filter=0"
done
ip netns exec wx-fw ip tuntap add slow mode tun
ip netns exec wx-fw sysctl -qw net.ipv4.conf.slow.rp_filter=0
ip -n wx-fw link set slow up
ip -n wx-fw rule add fwmark 6 lookup 100
ip -n wx-fw route add default dev slow table 100
ip netns exec wx-fw python3 "$here/firewall_peer.py" delay &

for side in in out; do
	ip netns exec wx-fw tcpdump -q -i "to-$side" -U -w "$work/$side.pcap" ip 2>/dev/null &
done
ip netns exec wx-out python3 "$here/firewall_peer.py" serve &
sleep 1
ip netns exec wx-in python3 "$here/firewall_peer.py" call
sleep 1
ip netns pids wx-fw | xargs -r kill -INT
sleep 1
cp "$work/in.pcap" "$out/firewall-inside.pcap"
cp "$work/out.pcap" "$out/firewall-outside.pcap"
chmod 644 "$out/firewall-inside.pcap" "$out/firewall-outside.pcap"
ls -l "$out/firewall-inside.pcap" "$out/firewall-outside.pcap"
