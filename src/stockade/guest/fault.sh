#!/bin/sh
# Drills ask for a failure by one word on a TCP connection: the kernel's crash, or user space hanging.
read -r -t 10 wish
case "$wish" in
    crash)
        echo c >/proc/sysrq-trigger
        ;;
    hang)
        echo hanging
        for process in /proc/[0-9]*; do
            [ "${process#/proc/}" -eq 1 ] || [ "${process#/proc/}" -eq $$ ] || kill -STOP "${process#/proc/}"
        done 2>/dev/null
        kill -STOP $$
        ;;
    *) echo "crash or hang?" ;;
esac
