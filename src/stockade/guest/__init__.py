"""The guest: a Linux that boots in seconds under emulation and tells on itself, for the demo and the drills.

`image` builds it from a host's own kernel and busybox; the ``*.sh`` files are what runs inside; `page` reads
what it says, on its status page and on its volume. ``docs/design/guest.md`` has the ports and layouts.
"""
