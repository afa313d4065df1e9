#!/bin/sh
# One line for whoever connects: last acknowledged number, first of this boot, boot id, uptime in seconds.
read -r state disk serial last first rest </run/writer
read -r boot </proc/sys/kernel/random/boot_id
read -r uptime rest </proc/uptime
echo "${state:-starting} ${last:-0} ${first:-0} $boot $uptime"
