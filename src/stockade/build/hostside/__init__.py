"""The part of the build that runs on the hosts: facts, apply, checks.

These modules travel to the host with each call (`stockade.build.remote`) and run there under the system's
Python; they import nothing of Stockade but each other, and from outside the standard library only what
Debian packages on the host.
"""
