"""The daemon on every host: database members, key repositories, grants to run VMs.

Installed as plain files by the build and run by the system's Python, so it uses the standard library and what
Debian packages on every host, and imports nothing of Stockade but itself.
"""
