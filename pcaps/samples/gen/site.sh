#!/usr/bin/env bash
# Records the two site samples: a small backup site whose hosts are network
# namespaces on one bridge, with real clients and servers (libzmq, OpenSSL,
# dnsmasq, Python's HTTP server) talking to each other.
#
#   pcaps/samples/gen/site.sh [DIRECTORY]     default: pcaps/samples
#
# With BESIDE=COMMAND in the environment, COMMAND NAME INTERFACE runs beside
# tcpdump in each recording, on a port that all the traffic is mirrored to, until
# it is interrupted; its exit status is left in DIRECTORY/NAME.status.
#
# Needs root, and: iproute2 tcpdump openssl python3-zmq dnsmasq-base nftables
# iputils-ping
#
# Everything that it makes is gone when it ends, certificates and keys too.
#
# Addresses are private ones and those of RFC 5737; the names of the cloud are
# the vendor's, served here by a namespace. Nothing leaves the machine.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:-$here/..}" && pwd)

if [ "$(id -u)" -ne 0 ]; then
	echo "site.sh: network namespaces need root: sudo make samples" >&2
	exit 2
fi
missing=()
for need in ip:iproute2 ping:iputils-ping tcpdump:tcpdump openssl:openssl nft:nftables dnsmasq:dnsmasq-base go:golang; do
	command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
python=
for candidate in python3 /usr/bin/python3; do
	if "$candidate" -c 'import zmq' 2>/dev/null; then
		python=$candidate
		break
	fi
done
[ -n "$python" ] || missing+=(python3-zmq)
if [ "${#missing[@]}" -gt 0 ]; then
	echo "site.sh: missing: apt-get install ${missing[*]}" >&2
	exit 2
fi

work=$(mktemp -d)
hosts=(ms sn cat bg dns console agent1 agent2 fw cloud)

cleanup() {
	local host
	set +e
	for host in "${hosts[@]}" switch; do
		ip netns pids "wc-$host" 2>/dev/null | xargs -r kill 2>/dev/null
	done
	sleep 0.2
	for host in "${hosts[@]}" switch; do
		ip netns del "wc-$host" 2>/dev/null
		rm -rf "/etc/netns/wc-$host"
	done
	rm -rf "$work"
}
trap cleanup EXIT

# on HOST COMMAND... runs a command on a host of the site.
on() {
	local host=$1
	shift
	ip netns exec "wc-$host" "$@"
}

# serve HOST COMMAND... leaves a server running there.
serve() {
	local host=$1
	shift
	ip netns exec "wc-$host" "$@" >>"$work/servers.log" 2>&1 &
}

# plug HOST ADDRESS/LENGTH connects a host to the switch.
plug() {
	ip link add "p-$1" netns wc-switch type veth peer name eth0 netns "wc-$1"
	on switch ip link set "p-$1" master br0 up
	on "$1" ip addr add "$2" dev eth0
	# One segment per frame, as on a wire.
	on "$1" ip link set eth0 gso_max_segs 1 up
	on "$1" ip link set lo up
}

# --- the site ---------------------------------------------------------------

ip netns add wc-switch
on switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
on switch ip link add br0 type bridge
on switch ip link set br0 up

for host in "${hosts[@]}"; do
	ip netns add "wc-$host"
	on "$host" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	# The dynamic range of Windows, except on agent2, which keeps Linux's.
	[ "$host" = agent2 ] || on "$host" sysctl -qw net.ipv4.ip_local_port_range='49152 65535'
	mkdir -p "/etc/netns/wc-$host"
	printf 'nameserver 10.20.30.19\noptions timeout:1 attempts:1\n' >"/etc/netns/wc-$host/resolv.conf"
done
plug fw 10.20.30.1/24
plug ms 10.20.30.11/24
plug sn 10.20.30.12/24
plug cat 10.20.30.13/24
plug bg 10.20.30.14/24
plug dns 10.20.30.19/24
plug console 10.20.30.20/24
plug agent1 10.20.30.22/24
plug agent2 10.20.30.23/24
for host in "${hosts[@]}"; do
	case $host in fw | cloud) ;; *) on "$host" ip route add default via 10.20.30.1 ;; esac
done
ip link add eth1 netns wc-fw type veth peer name eth0 netns wc-cloud
on fw ip addr add 203.0.113.1/24 dev eth1
on fw ip link set eth1 up
on fw sysctl -qw net.ipv4.ip_forward=1
on cloud ip addr add 203.0.113.10/24 dev eth0
on cloud ip addr add 203.0.113.77/24 dev eth0
on cloud ip link set eth0 gso_max_segs 1 up
on cloud ip route add default via 203.0.113.1

# A mirror port: what comes in at any port goes out there as well, once.
tap=br0
if [ -n "${BESIDE:-}" ]; then
	ip link add mirror netns wc-switch type veth peer name tap netns wc-switch
	on switch ip link set mirror up
	on switch ip link set tap up
	mirrored=yes
	for host in "${hosts[@]}"; do
		[ "$host" = cloud ] && continue
		{ on switch tc qdisc add dev "p-$host" clsact &&
			on switch tc filter add dev "p-$host" ingress matchall action mirred egress mirror dev mirror; } 2>/dev/null || mirrored=
	done
	if [ -n "$mirrored" ]; then
		tap=tap
	else
		echo "site.sh: this kernel cannot mirror ports (tc mirred): the bridge itself is listened to"
	fi
fi

# --- certificates, for a week -----------------------------------------------

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj '/O=Example/CN=Example Site CA' \
	-keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
# certificate FILE NAME makes $work/FILE.crt and .key, signed by the site's authority.
certificate() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=Example/CN=$2" \
		-keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null
	printf 'subjectAltName=DNS:%s\n' "$2" >"$work/$1.ext"
	openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 7 \
		-extfile "$work/$1.ext" -out "$work/$1.crt" 2>/dev/null
}
certificate ms ms.backup.example
certificate sn sn.backup.example
certificate bg bg.backup.example
certificate cloud cloud.acronis.com
certificate other www.unrelated.example
certificate agent1 agent1.backup.example
certificate agent2 agent2.backup.example
certificate cat cat.backup.example

# --- servers ----------------------------------------------------------------

mkdir -p "$work/web/api" "$work/updates"
echo '{"version":"15.0","tasks":[]}' >"$work/web/api/tasks"
echo '{"took":2,"hits":{"total":1}}' >"$work/web/_search"
head -c 20000 /dev/zero | tr '\0' u >"$work/updates/agent.bin"

serve dns dnsmasq --keep-in-foreground --no-resolv --no-hosts --bind-interfaces --interface=eth0 --user=root --pid-file= \
	--host-record=ms.backup.example,10.20.30.11 --host-record=sn.backup.example,10.20.30.12 \
	--host-record=cat.backup.example,10.20.30.13 --host-record=bg.backup.example,10.20.30.14 \
	--host-record=cloud.acronis.com,203.0.113.10 --host-record=dl.acronis.com,203.0.113.10 \
	--host-record=www.unrelated.example,203.0.113.77

# tls_server HOST PORT CERTIFICATE OPTIONS... answers each line with the line reversed.
tls_server() {
	local host=$1 port=$2 certificate=$3
	shift 3
	serve "$host" openssl s_server -accept "$port" -cert "$work/$certificate.crt" -key "$work/$certificate.key" \
		-CAfile "$work/ca.crt" "$@"
}
# web_server HOST PORT DIRECTORY serves files over HTTP in clear.
web_server() {
	serve "$1" "$python" -m http.server "$2" --directory "$3"
}
https_server() {
	(cd "$work/web" && tls_server "$1" "$2" "$3" -WWW)
}

https_server ms 9877 ms
tls_server sn 9876 sn -Verify 2 -verify_return_error -rev
tls_server bg 44445 bg -Verify 2 -verify_return_error -rev
tls_server cloud 203.0.113.10:443 cloud -rev
web_server cloud 80 "$work/updates"
web_server cat 9200 "$work/web"
serve ms "$python" "$here/zmq_peer.py" server CURVE 10.20.30.11 "$work/curve"
zmq_server=$!
sleep 1.5

# --- clients ----------------------------------------------------------------

# lines N LENGTH prints N lines of text.
lines() {
	local i
	for i in $(seq "$1"); do
		head -c "$2" /dev/zero | tr '\0' "$((i % 10))"
		echo
	done
}
# tls HOST NAME PORT OPTIONS... sends standard input there under TLS, and stays a moment for the answer.
tls() {
	local host=$1 name=$2 port=$3
	shift 3
	{ cat; sleep 0.4; } | on "$host" openssl s_client -quiet -no_ign_eof -CAfile "$work/ca.crt" \
		-connect "$name:$port" -servername "$name" "$@" >>"$work/clients.log" 2>&1 || true
}
# with HOST prints the options by which a client shows its certificate.
with() { echo "-cert $work/$1.crt -key $work/$1.key"; }

rest() {
	local payload
	payload=$(printf '{"sub":"%s"}' "$1" | base64 | tr -d '=\n' | tr '/+' '_-')
	printf 'GET /api/tasks HTTP/1.0\r\nHost: ms.backup.example\r\nAuthorization: Bearer %s.%s.%s\r\n\r\n' \
		eyJhbGciOiJSUzI1NiJ9 "$payload" "$(head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '/+' '_-')"
}
fetch() { # HOST URL
	on "$1" "$python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=3).read()' "$2" \
		>>"$work/clients.log" 2>&1 || true
}
messages() { # HOST MECHANISM
	on "$1" timeout 5 "$python" "$here/zmq_peer.py" client "$2" 10.20.30.11 "$work/curve" >>"$work/clients.log" 2>&1 || true
}

# shellcheck disable=SC2046 # the options are meant to be words
everyday() {
	messages agent1 CURVE
	messages agent2 CURVE
	messages sn CURVE
	rest agent1 | tls agent1 ms.backup.example 9877
	rest agent2 | tls agent2 ms.backup.example 9877 -tls1_2
	rest admin | tls console ms.backup.example 9877
	lines 12 900 | tls agent1 sn.backup.example 9876 $(with agent1)
	lines 8 900 | tls agent2 sn.backup.example 9876 $(with agent2) -tls1_2
	lines 2 200 | tls cat sn.backup.example 9876 $(with cat)
	lines 6 900 | tls agent2 bg.backup.example 44445 $(with agent2)
	fetch ms http://cat.backup.example:9200/_search
	fetch ms http://dl.acronis.com/agent.bin
	lines 1 60 | tls ms cloud.acronis.com 443
	on agent1 ping -q -c 3 -i 0.2 203.0.113.10 >/dev/null
	lines 1 60 | tls agent1 cloud.acronis.com 443
}

# shellcheck disable=SC2046
wrong() {
	# What there is to recognise the site by.
	rest agent1 | tls agent1 ms.backup.example 9877
	rest admin | tls console ms.backup.example 9877
	lines 2 900 | tls agent1 sn.backup.example 9876 $(with agent1)
	lines 2 200 | tls cat sn.backup.example 9876 $(with cat)
	lines 2 900 | tls agent1 bg.backup.example 44445 $(with agent1)
	fetch ms http://cat.backup.example:9200/_search
	messages agent1 CURVE
	messages sn CURVE

	# 7780 without the documented mechanism.
	kill "$zmq_server"
	wait "$zmq_server" 2>/dev/null || true
	serve ms "$python" "$here/zmq_peer.py" server PLAIN 10.20.30.11 "$work/curve"
	zmq_server=$!
	sleep 0.7
	messages agent1 PLAIN
	kill "$zmq_server"
	wait "$zmq_server" 2>/dev/null || true
	serve ms "$python" "$here/zmq_peer.py" server NULL 10.20.30.11 "$work/curve"
	zmq_server=$!
	sleep 0.7
	messages agent2 NULL

	# 9876 without a client certificate, once under each version of TLS.
	lines 1 100 | tls agent2 sn.backup.example 9876
	lines 1 100 | tls agent2 sn.backup.example 9876 -tls1_2

	# A token in clear on 9877.
	rest agent2 | on agent2 timeout 2 "$python" "$here/send.py" 10.20.30.11 9877 >>"$work/clients.log" 2>&1 || true

	# The backup gateway's port: dropped by a firewall, then closed.
	on bg nft add table inet filter
	on bg nft add chain inet filter input '{ type filter hook input priority 0; }'
	on bg nft add rule inet filter input tcp dport 44445 drop
	lines 1 10 | on agent1 timeout 3.5 "$python" "$here/send.py" 10.20.30.14 44445 >>"$work/clients.log" 2>&1 || true
	on bg nft delete table inet filter
	lines 1 10 | on agent1 timeout 2 "$python" "$here/send.py" 10.20.30.14 8888 >>"$work/clients.log" 2>&1 || true

	# Doors and directions that nobody documented.
	fetch agent2 http://10.20.30.11:8443/api/tasks
	messages cat NULL
	lines 1 60 | tls agent2 www.unrelated.example 443
	on agent2 ping -q -c 1 -W 1 203.0.113.77 >/dev/null || true
}

# record NAME FUNCTION runs what a function does under tcpdump, on the bridge.
record() {
	local beside=
	ip netns exec wc-switch tcpdump -q -U -i "$tap" -s 0 -Z root -w "$work/$1.pcap" 'not ether proto 0x88cc' 2>"$work/tcpdump.log" &
	local tcpdump=$!
	if [ -n "${BESIDE:-}" ]; then
		ip netns exec wc-switch "$BESIDE" "$1" "$tap" &
		beside=$!
	fi
	sleep 1
	"$2"
	sleep 1.5 # tcpdump is given packets a second late, and loses what it was not given
	if [ -n "$beside" ]; then
		sleep 2 # for what is looked at every second
		kill -INT "$beside"
		wait "$beside" && echo 0 >"$out/$1.status" || echo $? >"$out/$1.status"
	fi
	kill -INT "$tcpdump"
	wait "$tcpdump" || true
	(cd "$here/../../.." && go run ./pcaps/samples/gen pcapng "$work/$1.pcap" "$work/$1.pcapng")
	install -m 644 "$work/$1.pcapng" "$out/$1.pcapng"
	echo "site.sh: $out/$1.pcapng, $(stat -c %s "$out/$1.pcapng") bytes"
}

record site everyday
web_server ms 8443 "$work/web"
tls_server cloud 203.0.113.77:443 other -rev
sleep 1
record site-violations wrong
