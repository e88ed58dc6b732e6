#!/usr/bin/env bash
# Records files.pcapng: an agent that backs up to a file service by SMB, and a
# storage node whose backend is reached by NFS and iSCSI. Hosts are network
# namespaces on one bridge; the software is real (Samba, NFS-Ganesha, rpcbind,
# tgt, and the clients smbclient, libnfs, libiscsi; OpenSSL between agent and
# storage node).
#
#   pcaps/samples/gen/files.sh [DIRECTORY]     default: pcaps/samples
#
# Needs root, and: iproute2 tcpdump openssl nftables samba smbclient rpcbind
# nfs-ganesha nfs-ganesha-vfs libnfs-utils tgt libiscsi-bin. Samba logs in the
# system's account "backup", which Debian has, with a password of its own.
#
# Everything that it makes is gone when it ends. Nothing leaves the machine.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:-$here/..}" && pwd)

if [ "$(id -u)" -ne 0 ]; then
	echo "files.sh: network namespaces need root: sudo make samples" >&2
	exit 2
fi
missing=()
for need in ip:iproute2 tcpdump:tcpdump openssl:openssl nft:nftables smbd:samba smbclient:smbclient rpcbind:rpcbind \
	ganesha.nfsd:nfs-ganesha nfs-ls:libnfs-utils tgtd:tgt iscsi-inq:libiscsi-bin go:golang; do
	command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
	echo "files.sh: missing: apt-get install ${missing[*]}" >&2
	exit 2
fi

work=$(mktemp -d)
chmod 755 "$work"
hosts=(agent sn fs nas)
export=/srv/wirechart-export # a path that may be shown

cleanup() {
	local host
	set +e
	rm -rf "$export"
	for host in "${hosts[@]}" switch; do
		ip netns pids "wf-$host" 2>/dev/null | xargs -r kill 2>/dev/null
	done
	sleep 1
	for host in "${hosts[@]}" switch; do
		ip netns pids "wf-$host" 2>/dev/null | xargs -r kill -9 2>/dev/null
		ip netns del "wf-$host" 2>/dev/null
	done
	rm -rf "$work"
}
trap cleanup EXIT

# on HOST COMMAND... runs a command on a host, and no longer than ten seconds.
on() {
	local host=$1
	shift
	ip netns exec "wf-$host" timeout 10 "$@"
}

# serve HOST COMMAND... leaves a server running there.
serve() {
	local host=$1
	shift
	ip netns exec "wf-$host" "$@" </dev/null >>"$work/servers.log" 2>&1 &
}

# say HOST COMMAND... is on for what may fail.
say() { on "$@" >>"$work/clients.log" 2>&1 || true; }

# plug HOST ADDRESS/LENGTH connects a host to the switch.
plug() {
	ip netns add "wf-$1"
	on "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_local_port_range='49152 65535'
	ip link add "p-$1" netns wf-switch type veth peer name eth0 netns "wf-$1"
	on switch ip link set "p-$1" master br0 up
	on "$1" ip addr add "$2" dev eth0
	# One segment per frame, as on a wire.
	on "$1" ip link set eth0 gso_max_segs 1 up
	on "$1" ip link set lo up
}

ip netns add wf-switch
on switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
on switch ip link add br0 type bridge
on switch ip link set br0 up
plug sn 10.20.30.12/24
plug fs 10.20.30.17/24
plug nas 10.20.30.18/24
plug agent 10.20.30.22/24

# --- servers ----------------------------------------------------------------

mkdir "$work/smb" "$work/share" "$work/ganesha"
chown backup "$work/share"
cat >"$work/smb.conf" <<-END
	[global]
	workgroup = LAB
	netbios name = FS
	server min protocol = NT1
	disable spoolss = yes
	load printers = no
	passdb backend = tdbsam
	private dir = $work/smb
	state directory = $work/smb
	cache directory = $work/smb
	lock directory = $work/smb
	pid directory = $work/smb
	ncalrpc dir = $work/smb/ncalrpc
	log file = $work/smb/log
	[backup]
	path = $work/share
	read only = no
END
password=$(head -c 12 /dev/urandom | base64)
printf '%s\n%s\n' "$password" "$password" | smbpasswd -c "$work/smb.conf" -s -a backup >>"$work/servers.log"
serve fs smbd -F -s "$work/smb.conf"

mkdir "$export"
echo data >"$export/archive"
cat >"$work/ganesha.conf" <<-END
	NFS_CORE_PARAM { mount_path_pseudo = false; Protocols = 3, 4; MNT_Port = 20048; NLM_Port = 20049; Enable_RQUOTA = false; }
	NFSv4 { Graceless = true; RecoveryBackend = fs; RecoveryRoot = $work/ganesha; }
	EXPORT { Export_Id = 1; Path = $export; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; FSAL { Name = VFS; } }
END
serve nas rpcbind -f -w
sleep 1
serve nas ganesha.nfsd -F -f "$work/ganesha.conf" -L "$work/ganesha.log" -p "$work/ganesha.pid"

export TGT_IPC_SOCKET=$work/tgt
target=iqn.2026-11.example.site:backend
secret=$(head -c 9 /dev/urandom | base64)
head -c 1048576 /dev/zero >"$work/lun"
serve nas tgtd -f --iscsi portal=10.20.30.18:3260 --control-port 3261
sleep 3
tgt() { on nas tgtadm --control-port 3261 --lld iscsi "$@"; }
tgt --op new --mode target --tid 1 -T "$target"
tgt --op new --mode logicalunit --tid 1 --lun 1 -b "$work/lun"
tgt --op new --mode account --user sn --password "$secret"
tgt --op bind --mode account --tid 1 --user sn
tgt --op bind --mode target --tid 1 -I ALL

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=sn.backup.example \
	-keyout "$work/key" -out "$work/crt" 2>/dev/null
serve sn openssl s_server -accept 9876 -cert "$work/crt" -key "$work/key" -CAfile "$work/crt" -Verify 2 -rev
sleep 1

# --- clients ----------------------------------------------------------------

smb() { # USER%PASSWORD SHARE OPTIONS...
	local user=$1 share=$2
	shift 2
	say agent smbclient -s /dev/null --netbiosname=AGENT "//10.20.30.17/$share" -U "LAB\\$user" -c ls "$@"
}
disk() { # SECRET
	say sn iscsi-inq -i iqn.2026-11.example.site:sn "iscsi://sn%$1@10.20.30.18/$target/1"
}

ip netns exec wf-switch tcpdump -q -U -i br0 -s 0 -Z root -w "$work/files.pcap" 'not ether proto 0x88cc' 2>"$work/tcpdump.log" &
tcpdump=$!
sleep 1

for _ in 1 2; do
	{ echo data; sleep 0.3; } | say agent openssl s_client -quiet -no_ign_eof -CAfile "$work/crt" -connect 10.20.30.12:9876 -cert "$work/crt" -key "$work/key"
done
smb "backup%$password" backup --client-protection=sign
smb "backup%$password" backup --client-protection=encrypt
smb "backup%$password" nothing
smb backup%wrong backup
smb "backup%$password" backup --option='client min protocol=NT1' -m NT1
say sn nfs-ls "nfs://10.20.30.18$export"
say sn nfs-ls 'nfs://10.20.30.18/export?version=4'
say sn nfs-ls nfs://10.20.30.18/nothing
disk "$secret"
disk wrong-wrong-wrong
# The mount daemon, which the port mapper placed there, behind a firewall.
on nas nft add table inet filter
on nas nft add chain inet filter input '{ type filter hook input priority 0; }'
on nas nft add rule inet filter input tcp dport 20048 drop
say sn timeout 4 nfs-ls "nfs://10.20.30.18$export"

sleep 1.5 # tcpdump is given packets a second late, and loses what it was not given
kill -INT "$tcpdump"
wait "$tcpdump" || true
(cd "$here/../../.." && go run ./pcaps/samples/gen pcapng "$work/files.pcap" "$work/files.pcapng")
install -m 644 "$work/files.pcapng" "$out/files.pcapng"
echo "files.sh: $out/files.pcapng, $(stat -c %s "$out/files.pcapng") bytes"
