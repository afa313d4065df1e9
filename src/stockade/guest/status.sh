#!/bin/sh
# The status page, as JSON; as a CGI program under httpd, or any other way with its output taken as it is.
# Shell built-ins only: a page costs the processes that httpd starts, and no more.

# word FILE: its first line as a JSON string, without what would have to be quoted.
word() {
    line=''
    [ -r "$1" ] && read -r line <"$1"
    printf '"%s"' "${line//[\"\\]/}"
}

# read again if the writer was just replacing its line
for try in 1 2 3; do
    read -r state disk serial last first resumed gaps errors </run/writer && break
done 2>/dev/null
read -r uptime rest </proc/uptime
while read -r name kb rest; do
    [ "$name" = MemAvailable: ] && break
done </proc/meminfo
read -r rest rest kernel rest </proc/version
ready=null
[ -r /run/ready ] && read -r ready </run/ready
[ -r /run/watchdog ] && read -r watchdog </run/watchdog

printf 'Content-Type: application/json\r\nCache-Control: no-store\r\n\r\n'
printf '{"schema": 1, "instance_id": '
word /run/instance-id
printf ', "hostname": '
word /run/hostname
printf ', "uuid": '
word /sys/class/dmi/id/product_uuid
printf ', "host": '
word /sys/class/dmi/id/product_serial
printf ', "boot_id": '
word /proc/sys/kernel/random/boot_id
printf ', "kernel": "%s", "uptime_s": %s, "ready_s": %s, "memory_available_kb": %s, "watchdog": "%s"' \
    "$kernel" "$uptime" "$ready" "$kb" "$watchdog"
printf ', "writer": {"state": "%s", "disk": "%s", "serial": "%s", "last": %s, "first": %s, ' \
    "${state:-starting}" "${disk#-}" "${serial#-}" "${last:-0}" "${first:-0}"
printf '"resumed_from": %s, "gaps": %s, "errors": %s}, "lease": [' \
    "${resumed:-0}" "${gaps:-0}" "${errors:-0}"
comma=''
if [ -r /run/lease ]; then
    while read -r line; do
        printf '%s"%s"' "$comma" "${line//[\"\\]/}"
        comma=', '
    done </run/lease
fi
printf ']}\n'
