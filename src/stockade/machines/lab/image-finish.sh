#!/bin/sh
# Turns a fresh Debian tree into the lab's golden image. Run by mmdebstrap as its last hook, outside the
# chroot, with the tree as $1. Part of the image's content hash: a change here makes a new image.
set -eu
root=$1
units=$root/etc/systemd/system

# The demonstration guest boots Debian's own kernel. Its package would pull in initramfs-tools and build an
# initramfs nobody needs, so only its files are taken.
arch=$(chroot "$root" dpkg --print-architecture)
kernel=$(APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-cache depends --important "linux-image-cloud-$arch" |
    sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
fetched=$root/var/tmp/kernel
mkdir "$fetched"
(cd "$fetched" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq -o APT::Sandbox::User=root download "$kernel")
dpkg-deb --fsys-tarfile "$fetched"/*.deb |
    tar -x -C "$root" --keep-directory-symlink --wildcards './boot/*' './usr/lib/modules/*'
rm -r "$fetched"
for version in "$root"/usr/lib/modules/*; do
    chroot "$root" depmod "${version##*/}"
done

# Nothing starts by itself. Debian's units want each other across hosts (nova-compute wants the database), so
# the build enables per host what that host runs.
rm -rf "$units"/*.wants "$units"/*.requires "$units"/*.service "$units"/*.socket
rm -f "$root"/etc/rc[0-6S].d/*
mkdir -p "$root/etc/systemd/system-preset"
echo 'disable *' >"$root/etc/systemd/system-preset/00-stockade-lab.preset"
mkdir "$units/multi-user.target.wants"
ln -s /usr/lib/systemd/system/ssh.service "$units/multi-user.target.wants/ssh.service"
ln -s /usr/lib/systemd/system/ssh.service "$units/sshd.service"
ln -sf /usr/lib/systemd/system/multi-user.target "$units/default.target"

# What would reach past the machine into the computer it runs on (binfmt, udev events, debugfs), has nothing
# to do in a container, or must only run where the build says so.
for unit in \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
    systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
    systemd-udev-trigger.service systemd-udev-settle.service systemd-modules-load.service \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount console-getty.service \
    apt-daily.timer apt-daily-upgrade.timer conntrackd.service tgt.service; do
    ln -sf /dev/null "$units/$unit"
done

# Identity belongs to a machine, not to the image.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root/etc/hostname" "$root/etc/resolv.conf"
: >"$root/etc/fstab"

# One session of the build carries many commands at once; password logins have no place here.
cat >"$root/etc/ssh/sshd_config.d/10-stockade-lab.conf" <<CONF
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
MaxSessions 100
MaxStartups 100:30:200
CONF

# Logs of a machine that lost its power are what one wants to read afterwards.
mkdir -p "$root/var/log/journal" "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=persistent\nSystemMaxUse=256M\n' >"$root/etc/systemd/journald.conf.d/10-stockade-lab.conf"

# The caches that systemd would refresh on a first boot are fresh.
touch "$root/etc/.updated" "$root/var/.updated"
