#!/bin/sh
# PID 1 of the Stockade guest: mounts, drivers, network, services. See docs/design/guest.md.
# busybox ash; nothing here may wait for the network or for a disk.

export PATH=/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev

# Run a command for ever; a second between two runs bounds what a broken one can cost.
keep() {
    while :; do
        "$@"
        sleep 1
    done >/dev/null 2>&1 </dev/null &
}

load() {
    insmod "/lib/modules/$1.ko"
}

while read -r module; do
    load "$module"
done </lib/modules/boot

# Name the new address to the switches at once, also after a move to another host.
echo 1 >/proc/sys/net/ipv4/conf/all/arp_notify
ip link set lo up
keep udhcpc -f -i eth0 -s /sbin/dhcp -O mtu -O staticroutes -t 5 -T 1 -A 1
keep writer
keep httpd -f -p 80 -h /www
keep nc -ll -p 7 -e cat
keep udp-echo
keep nc -ll -p 7000 -e counter

# The power button, so that a stop from Nova takes a second and not its whole timeout.
while read -r module; do
    load "$module"
done </lib/modules/button
keep acpid -f -l /dev/null

# A watchdog only where the machine has one: PCI 8086:25ab is the i6300ESB.
for device in /sys/bus/pci/devices/*; do
    read -r vendor <"$device/vendor"
    read -r product <"$device/device"
    [ "$vendor:$product" = 0x8086:0x25ab ] || continue
    while read -r module; do
        load "$module"
    done </lib/modules/watchdog
    echo i6300esb >/run/watchdog
    keep watchdog -F -t 4 -T 20 /dev/watchdog0
done

# Drills may ask the guest to fail, only if its image says so.
case " $(cat /proc/cmdline) " in
    *" stockade.faults "*) keep nc -ll -p 7001 -e fault ;;
esac

# Orphans of the services come to PID 1; wait reaps them. It returns only if every service is gone.
while :; do
    wait
    sleep 1
done
