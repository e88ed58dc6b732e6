#!/usr/bin/env bash
# Records both sides of a firewall: two networks of one host each, and between
# them a router whose nftables rules let pass, drop, reject, translate, delay
# and cut off what real clients and servers (firewall_peer.py, ping) send, and
# a line to the outside that delays and loses (firewall_line.py).
#
#   pcaps/samples/gen/firewall.sh [DIRECTORY]     default: pcaps/samples
#
# writes firewall-inside.pcap.gz, recorded on the router's interface to the inside,
# and firewall-outside.pcap.gz, recorded on the host outside. What becomes of each flow is told beside the rule
# that does it; TestCompareFirewall holds the program against that.
#
# Needs root, and: iproute2 tcpdump nftables iputils-ping python3
#
# Everything that it makes is gone when it ends. Addresses are private ones and
# those of RFC 5737 and RFC 3849. Nothing leaves the machine.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:-$here/..}" && pwd)

if [ "$(id -u)" -ne 0 ]; then
	echo "firewall.sh: network namespaces need root" >&2
	exit 2
fi
missing=()
for need in ip:iproute2 ping:iputils-ping tcpdump:tcpdump nft:nftables python3:python3; do
	command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
	echo "firewall.sh: missing: apt-get install ${missing[*]}" >&2
	exit 2
fi

work=$(mktemp -d)
run=wcf$$ # two runs do not meet

cleanup() {
	local host
	set +e
	[ -z "${line:-}" ] || kill "$line"
	for host in in fw out; do
		ip netns pids "$run-$host" 2>/dev/null | xargs -r kill 2>/dev/null
	done
	sleep 0.2
	for host in in fw out; do
		ip netns del "$run-$host" 2>/dev/null
	done
	rm -rf "$work"
}
trap cleanup EXIT

on() { # HOST COMMAND...
	local host=$1
	shift
	ip netns exec "$run-$host" "$@"
}
peer() { # HOST ARGUMENTS...
	local host=$1
	shift
	on "$host" python3 "$here/firewall_peer.py" "$@" >>"$work/peers.log" 2>&1
}

# --- inside 10.1.0.2 -- 10.1.0.1 the firewall 192.0.2.1 -- 192.0.2.10 outside --

for host in in fw out; do
	ip netns add "$run-$host"
	on "$host" ip link set lo up
	# No duplicate address detection: addresses work at once.
	on "$host" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv4.icmp_ratelimit=0
done
# One segment per frame, as on a wire: gso_max_segs.
ip link add in0 netns "$run-fw" type veth peer name eth0 netns "$run-in"
on in ip link set eth0 gso_max_segs 1 up
on fw ip link set in0 gso_max_segs 1 up
# To the outside leads a line that takes 20 ms, that way alone, and 300 more to
# TCP port 8017. It goes before other programs of a busy machine.
nice -n -15 python3 "$here/firewall_line.py" "$run-a" "$run-b" 20 9 >"$work/line" 2>>"$work/peers.log" &
line=$!
until [ -s "$work/line" ]; do sleep 0.1; done
ip link set "$run-a" netns "$run-fw" name out0
ip link set "$run-b" netns "$run-out" name eth0
on fw ip link set out0 up
on out ip link set eth0 up
plug() { # HOST ADDRESSES...
	local host=$1 address
	shift
	for address in "$@"; do
		case $address in *:*) on "$host" ip addr add "$address" dev eth0 nodad ;; *) on "$host" ip addr add "$address" dev eth0 ;; esac
	done
}
plug in 10.1.0.2/24 2001:db8:1::2/64
plug out 192.0.2.10/24 192.0.2.13/24 192.0.2.14/24 192.0.2.20/24 2001:db8:2::10/64
on fw ip addr add 10.1.0.1/24 dev in0
on fw ip addr add 192.0.2.1/24 dev out0
on fw ip addr add 2001:db8:1::1/64 dev in0 nodad
on fw ip addr add 2001:db8:2::1/64 dev out0 nodad
on fw sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
on in ip route add default via 10.1.0.1
on in ip route add default via 2001:db8:1::1
on out ip route add 10.1.0.0/24 via 192.0.2.1
on out ip route add default via 2001:db8:2::1
# Links that are too small for what is sent: the firewall says so, and the
# sender of the second does not hear it.
on fw ip route add 192.0.2.13 dev out0 mtu lock 1000
on fw ip route add 192.0.2.14 dev out0 mtu lock 1000

on fw nft -f - <<'RULES'
table inet firewall {
	chain cut { }
	chain forward {
		type filter hook forward priority 0; policy accept;
		jump cut
		tcp dport 8003 drop                                      # dropped
		tcp dport 8004 reject with tcp reset                     # rejected
		tcp dport 8005 reject with icmpx type admin-prohibited   # rejected
		tcp sport 8006 drop                                      # its answers dropped
		tcp dport 8012 meta length > 1000 drop                   # large packets dropped
		udp dport 5303 drop
		udp dport 5304 reject
		udp sport 5306 drop
		ip daddr 192.0.2.20 icmp type echo-request drop
		ip daddr 10.1.0.2 tcp dport 8081 drop                    # from outside
	}
	chain prerouting {
		type nat hook prerouting priority -100;
		iif "out0" tcp dport 8080 dnat ip to 10.1.0.2:80
		iif "in0" tcp dport 8016 redirect to :9016               # ends at a proxy
	}
	chain postrouting {
		type nat hook postrouting priority 100;
		oif "out0" tcp dport 8002 masquerade
		oif "out0" udp dport 5302 masquerade to :40000-40100
	}
}
RULES
on out nft -f - <<'RULES'
table inet host {
	chain input {
		type filter hook input priority 0;
		tcp dport 8010 drop                                      # the far host's own firewall
	}
}
RULES
on in nft -f - <<'RULES'
table inet host {
	chain input {
		type filter hook input priority 0;
		# About packets to 192.0.2.14: the destination in the header that is quoted.
		meta l4proto icmp icmp code frag-needed @th,192,32 0xc000020e drop
	}
}
RULES
# --- servers ------------------------------------------------------------------

expected=0
serve() {
	local host=$1
	shift
	expected=$((expected + $#))
	ip netns exec "$run-$host" python3 "$here/firewall_peer.py" serve "$@" >>"$work/ready" 2>>"$work/peers.log" &
}
echoes=()
for port in 8001 8002 8003 8004 8005 8006 8007 8008 8010 8011 8012 8016 8017; do
	echoes+=("echo:tcp:192.0.2.10:$port")
done
for port in 5301 5302 5303 5304 5306; do
	echoes+=("echo:udp:192.0.2.10:$port")
done
serve out "${echoes[@]}" silent:udp:192.0.2.10:5307 reset:tcp:192.0.2.10:8015 echo:tcp:192.0.2.13:8013 echo:tcp:192.0.2.14:8014 \
	"echo:tcp:[2001:db8:2::10]:8001" "echo:tcp:[2001:db8:2::10]:8003" "echo:udp:[2001:db8:2::10]:5301"
serve in echo:tcp:10.1.0.2:80 echo:tcp:10.1.0.2:8081
serve fw echo:tcp:10.1.0.1:22 proxy=192.0.2.10=8016:tcp:10.1.0.1:9016
for _ in {1..300}; do
	[ "$(wc -l <"$work/ready")" -lt "$expected" ] || break
	sleep 0.1
done

# --- record -------------------------------------------------------------------

dumps=()
dump() { # HOST INTERFACE NAME
	ip netns exec "$run-$1" tcpdump -B 32768 -q -U -i "$2" -s 0 -Z root -w "$work/$3.pcap" 'ip or arp or ip6 and not icmp6' 2>"$work/$3.log" &
	dumps+=($!)
}
dump fw in0 firewall-inside
dump out eth0 firewall-outside
for _ in {1..300}; do
	! grep -q listening "$work/firewall-inside.log" || ! grep -q listening "$work/firewall-outside.log" || break
	sleep 0.1
done

clients=()
try() { # HOST COMMAND... runs a client beside the others.
	"$@" &
	clients+=($!)
}
for port in 8001 8002 8006 8009 8010 8015 8016 8017; do
	try peer in tcp 192.0.2.10 "$port" 3 200 2
done
for port in 8003 8004 8005; do
	try peer in tcp 192.0.2.10 "$port" 1 200 2
done
try peer in tcp 192.0.2.10 8002 3 150 2 # a second one behind the same address
try peer in tcp 10.1.0.1 22 2 100 2
for port in 5301 5302 5303 5304 5305 5306 5307; do
	try peer in udp 192.0.2.10 "$port" 3
done
try peer in tcp 2001:db8:2::10 8001 3 200 2
try peer in tcp 2001:db8:2::10 8003 1 200 2
try peer in udp 2001:db8:2::10 5301 2
try peer out tcp 192.0.2.1 8080 3 120 2 # translated to 10.1.0.2:80
try peer out tcp 10.1.0.2 8081 1 120 2  # dropped
try peer out tcp 10.1.0.2 8082 1 120 2  # closed: the host inside refuses
try on in ping -q -c 3 -i 0.2 192.0.2.10 >/dev/null
try on in ping -q -c 2 -i 0.2 -W 1 192.0.2.20 >/dev/null
# Segments of more than 1000 bytes: dropped for their length; told to be too large, and
# made smaller; told so to a sender that does not hear it.
try peer in tcp 192.0.2.10 8012 1 3200 2
try peer in tcp 192.0.2.13 8013 2 3200 2
try peer in tcp 192.0.2.14 8014 1 3200 2
wait "${clients[@]}" || true

# Established connections meet a new rule: one that drops, one that resets.
clients=()
midway() { # PORT RULE
	local said="$work/steps-$1"
	mkfifo "$said.in"
	peer_steps "$1" "$said" &
	{
		echo 2
		echo 2
		until grep -q 'step 1' "$said"; do sleep 0.1; done
		on fw nft "add rule inet firewall cut $2"
		echo 1
		echo 1
	} >"$said.in"
	wait
}
peer_steps() { on in python3 "$here/firewall_peer.py" steps 192.0.2.10 "$1" <"$2.in" >"$2" 2>>"$work/peers.log"; }
try midway 8007 "tcp dport 8007 drop"
try midway 8008 "tcp dport 8008 reject with tcp reset"
wait "${clients[@]}" || true

# From now on the line loses packets.
kill -USR1 "$line"
peer in tcp 192.0.2.10 8011 40 100 5 || true

sleep 1.5 # tcpdump is given packets a second late, and loses what it was not given
kill -INT "${dumps[@]}"
wait "${dumps[@]}" || true
for name in firewall-inside firewall-outside; do
	gzip -n9 <"$work/$name.pcap" >"$out/$name.pcap.gz"
	echo "firewall.sh: $out/$name.pcap.gz, $(stat -c %s "$out/$name.pcap.gz") bytes"
done
