"""Machines made on this computer: Debian 13 in systemd-nspawn, with power, NICs, disks, BMC and watchdog."""
