#!/bin/sh
# udhcpc calls this with what happened in $1 and the lease in variables. It never takes an address away:
# a guest whose DHCP servers are down for longer than its lease must go on answering.

case "$1" in
    deconfig)
        ip link set "$interface" up
        exit
        ;;
    bound | renew) ;;
    *) exit ;;
esac

[ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
if [ "$(cat /run/address 2>/dev/null)" != "$ip/$mask" ]; then
    ip addr flush dev "$interface"
    ip addr add "$ip/$mask" brd + dev "$interface"
    echo "$ip/$mask" >/run/address
fi

# Classless routes replace the router option when a server sends both (RFC 3442).
if [ -n "$staticroutes" ]; then
    set -- $staticroutes
    while [ $# -ge 2 ]; do
        if [ "$2" = 0.0.0.0 ]; then
            ip route replace "$1" dev "$interface"
        else
            ip route replace "$1" via "$2" dev "$interface"
        fi
        shift 2
    done
else
    for gateway in $router; do
        ip route replace default via "$gateway" dev "$interface"
        break
    done
fi

for server in $dns; do
    echo "nameserver $server"
done >/etc/resolv.conf

{
    echo "interface=$interface"
    echo "ip=$ip/$mask"
    echo "router=$router"
    echo "dns=$dns"
    echo "server=$serverid"
    echo "lease_s=$lease"
    echo "mtu=$mtu"
    echo "staticroutes=$staticroutes"
} >/run/lease

[ -e /run/ready ] && exit
read -r uptime _ </proc/uptime
echo "$uptime" >/run/ready
for console in /dev/ttyS0 /dev/tty0; do
    [ -c "$console" ] && echo "stockade guest ready ip=$ip uptime=$uptime" >"$console"
done

# Metadata: a few bounded tries, beside everything else; the guest is useful without it.
metadata() {
    for try in 1 2 3 4 5 6; do
        wget -q -T 5 -O "/run/$1.new" "http://169.254.169.254/latest/meta-data/$1" && break
        sleep 2
    done
    [ -s "/run/$1.new" ] && mv "/run/$1.new" "/run/$1"
}
{
    metadata instance-id
    metadata hostname
    [ -s /run/hostname ] && hostname -F /run/hostname
} >/dev/null 2>&1 &
