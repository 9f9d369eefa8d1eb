"""Free ports on the loopback interface."""

import errno
import socket

HOST = "127.0.0.1"
_NEIGHBOURS = 50


def free(port: int) -> bool:
    """Could a server listen on this port now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that are only waiting to be forgotten are not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def choose(preferred: int) -> int:
    """Return the preferred port, or else the next free one."""
    for port in range(preferred, preferred + _NEIGHBOURS):
        if free(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
