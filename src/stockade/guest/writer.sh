#!/bin/sh
# The writer: numbered records on the first data disk, each acknowledged only after the disk said it is
# stable. One fork per record. The layout is in docs/design/guest.md and read back by guest/page.py.

RECORD=512          # bytes: one sector, which a disk writes whole or not at all
FIRST=8             # sector of slot 0; sector 0 is the header
MAX_SLOTS=65536     # 32 MiB, nine hours at two a second
MIB=2048            # sectors
PAUSE_S=0.4         # between two records
DISK=/proc/self/fd/8

cd /run || exit 1
[ -p never ] || mkfifo never
exec 9<>never
read -r boot </proc/sys/kernel/random/boot_id
read -r host </sys/class/dmi/id/product_serial
host=${host%% *}
errors=0 refused='' disk='' serial='' last=0 first=0 resumed=0 gaps=0

# A wait without a fork: nobody ever writes to the FIFO.
pause() {
    read -r -t "$1" nothing <&9
}

state() {
    echo "$1 ${disk:--} ${serial:--} $last $first $resumed $gaps $errors" >writer
}

# The disk stays open as descriptor 8 and is only reached through it: dd creates the file that it is to
# write, so with the name of a disk just taken away it would acknowledge records kept in memory.
use() {
    [ -b "/dev/$1" ] || return 1
    exec 8<>"/dev/$1"
    [ -b $DISK ] && return 0
    exec 8<&-
    rm "/dev/$1"
    return 1
}

# sector N, count: into the file `sectors`
fetch() {
    dd if=$DISK of=sectors bs=$((RECORD * $2)) skip=$((RECORD * $1)) count=1 \
        iflag=direct,skip_bytes 2>/dev/null
}

# The file `record`, padded to a whole sector, to sector N; true only when it is stable.
put() {
    dd if=record of=$DISK bs=$RECORD seek="$1" count=1 oflag=direct conv=notrunc,fsync 2>/dev/null
}

# The number in slot N, 0 if there is no whole record.
slot() {
    number=0
    fetch $((FIRST + $1)) 1 || return 1
    tag=''
    read -r tag found rest <sectors
    [ "$tag" = SR1 ] && [ "${rest% .}" != "$rest" ] && number=$found
    return 0
}

zeros() {
    fetch "$1" $MIB || return 2
    cmp -s -n $((MIB * RECORD)) sectors /dev/zero
}

# Blank means that the first and the last MiB are zeros: file systems, partition tables, LVM, RAID, ISO 9660
# all keep something there. Anything else belongs to somebody, is never written to, and is not looked at
# again while it is there (diskseq tells two disks under one name apart). False, too, if it cannot be read.
blank() {
    zeros 0 && zeros $((sectors - MIB))
    result=$?
    rm -f sectors
    [ $result -eq 1 ] && refused="$refused $sequence "
    return $result
}

format() {
    slots=$((sectors - 2 * MIB))
    [ "$slots" -gt $MAX_SLOTS ] && slots=$MAX_SLOTS
    printf '%-510s.\n' "STOCKADE-WRITER 1 $slots" >record
    put 0
}

# Sets slots if the disk is ours or can become ours.
adopt() {
    disk=$1 serial='' sequence=''
    read -r sequence <"/sys/block/$disk/diskseq"
    read -r sectors <"/sys/block/$disk/size"
    read -r readonly <"/sys/block/$disk/ro"
    [ -r "/sys/block/$disk/serial" ] && read -r serial <"/sys/block/$disk/serial"
    case "$refused" in *" $sequence "*) return 1 ;; esac
    [ "$readonly" = 0 ] && [ "$sectors" -ge $((4 * MIB)) ] && use "$disk" && fetch 0 1 || return 1
    magic='' version=''
    read -r magic version slots rest <sectors
    if [ "$magic" = STOCKADE-WRITER ]; then
        [ "$version" = 1 ] && [ "$slots" -gt 1 ] && [ $((FIRST + slots)) -le "$sectors" ]
        return
    fi
    if [ -n "$magic" ]; then
        refused="$refused $sequence "
        return 1
    fi
    blank && format
}

# Finds the last record by bisection: slots hold rising numbers up to the newest, older ones after it.
# Then looks at the newest 64 for continuity. Fails if the disk cannot be read.
resume() {
    last=0 gaps=0
    slot 0 || return 1
    start=$number low=0 high=$slots
    if [ "$start" -gt 0 ]; then
        last=$start
        while [ $((high - low)) -gt 1 ]; do
            middle=$(((low + high) / 2))
            slot $middle || return 1
            if [ "$number" -gt "$start" ]; then
                low=$middle last=$number
            else
                high=$middle
            fi
        done
    else
        # Nothing was ever written, or the write that began a new round was cut: the last slot tells.
        low=$((slots - 1))
        slot $low || return 1
        last=$number
    fi
    resumed=$last first=0
    from=$((low > 63 ? low - 63 : 0))
    [ "$last" -eq 0 ] && return 0
    fetch $((FIRST + from)) $((low - from + 1)) || return 1
    expected=$((last - (low - from)))
    while read -r tag number rest; do
        [ "$tag" = SR1 ] && [ "$number" = "$expected" ] || gaps=$((gaps + 1))
        expected=$((expected + 1))
    done <sectors
    return 0
}

# Writes until the disk fails five times running: it may have been taken away, so it is looked for again.
# A record that failed is tried again under the same number.
write() {
    bad=0
    state writing
    while [ $bad -lt 5 ]; do
        next=$((last + 1))
        read -r uptime rest </proc/uptime
        wall=$EPOCHREALTIME
        printf '%-510s.\n' "SR1 $next $boot ${uptime%.*}${uptime#*.}0 ${wall%.*} ${host:--}" >record
        if put $((FIRST + last % slots)); then
            last=$next bad=0
            [ "$first" -eq 0 ] && first=$next
            state writing
        else
            errors=$((errors + 1)) bad=$((bad + 1))
            state error
        fi
        pause $PAUSE_S
    done
}

while :; do
    state searching
    for path in /sys/block/vd* /sys/block/sd*; do
        [ -e "$path" ] || continue
        if adopt "${path##*/}"; then
            state resuming
            resume && write
        fi
        exec 8<&-
        disk='' serial='' last=0 first=0 resumed=0 gaps=0
    done
    pause 2
done
