"""The agent's listening sockets, held by systemd: while the agent restarts, questions wait instead of failing.

HAProxy ends every database session when the answers stop; a restart of the agent must not look like a dead database.
"""

import os
import socket

FIRST_FD = 3
"""sd_listen_fds(3): what systemd hands over begins here."""


def listening(address: str, port: int) -> socket.socket:
    """The socket for `address` and `port` that systemd holds, or one of our own. Raises OSError."""
    handed = int(os.environ.get("LISTEN_FDS", "0")) if os.environ.get("LISTEN_PID") == str(os.getpid()) else 0
    for descriptor in range(FIRST_FD, FIRST_FD + handed):
        # A copy: a duty that fails begins again, and needs it again.
        found = socket.socket(fileno=os.dup(descriptor))
        if found.getsockname() == (address, port):
            return found
        found.close()
    return socket.create_server((address, port))
