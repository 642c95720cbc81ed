"""On PYTHONPATH, this keeps a Python and its children from every network but their machine's own.

Python imports a module of this name when it starts.
"""

import ipaddress
import socket


def local(host):
    """Whether an address or a name is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost", None)


def refuse(host):
    if isinstance(host, bytes):
        host = host.decode()
    if not local(host):
        raise OSError(f"this test has no network, and something asked for {host}")


class Socket(socket.socket):
    def connect(self, address):
        if self.family != socket.AF_UNIX:
            refuse(address[0])
        return super().connect(address)

    def connect_ex(self, address):
        if self.family != socket.AF_UNIX:
            refuse(address[0])
        return super().connect_ex(address)


def getaddrinfo(host, *args, **kwargs):
    refuse(host)
    return look_up(host, *args, **kwargs)


look_up = socket.getaddrinfo
socket.socket = Socket
socket.getaddrinfo = getaddrinfo
