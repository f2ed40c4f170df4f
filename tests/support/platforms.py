"""Windows and macOS, as far as Linux can play them: what is missing there is taken away.

``WINDOWS`` and ``MACOS`` are beginnings of programs, before ipcpy is imported. An interface is understood as there:
from an ip_mreq or an address, of the form 0.0.0.INDEX. What is longer is cut, and 0.0.0.0 means the default interface.
"""

from __future__ import annotations

_COMMON = """if True:
    import asyncio, multiprocessing, os, select, selectors, signal, socket, struct, subprocess, sys, threading
    import concurrent.futures, ifaddr, logging.handlers, platform, tempfile, uuid, zeroconf, zeroconf.asyncio

    INTERFACES = (socket.IP_ADD_MEMBERSHIP, socket.IP_DROP_MEMBERSHIP, socket.IP_MULTICAST_IF)

    def missing(*names):
        for name in names:
            module, _, name = name.rpartition(".")
            if hasattr(sys.modules[module], name):
                delattr(sys.modules[module], name)

    class Socket(socket.socket):
        def setsockopt(self, level, option, value, *more):
            # zeroconf names interfaces by their addresses, which all platforms take
            zeroconf = "zeroconf" in sys._getframe(1).f_globals["__name__"]
            if level == socket.IPPROTO_IP and option in INTERFACES and not zeroconf:
                group = b"" if option == socket.IP_MULTICAST_IF else value[:4]
                index = value[len(group) :][:4]
                assert index[0] == 0, "an address, not the index of an interface"
                value = (group or bytes(4)) + bytes(4) + struct.pack("=I", int.from_bytes(index, "big"))
            super().setsockopt(level, option, value, *more)
"""

WINDOWS = (
    _COMMON
    + """
    class WindowsSocket(Socket):
        sendmsg = recvmsg = recvmsg_into = property()  # so that there are none

        def told(self, call, *arguments):
            try:
                return call(*arguments)
            except ConnectionRefusedError as error:
                raise ConnectionResetError(10054, "An existing connection was forcibly closed") from error

        def recv(self, *arguments):
            return self.told(super().recv, *arguments)

        def recvfrom(self, *arguments):
            return self.told(super().recvfrom, *arguments)

        def send(self, *arguments):
            return self.told(super().send, *arguments)

        def sendto(self, *arguments):
            return self.told(super().sendto, *arguments)

    socket.socket = WindowsSocket
    selectors.DefaultSelector = selectors.SelectSelector
    missing("socket.MSG_DONTWAIT", "socket.AF_NETLINK", "socket.SO_REUSEPORT")
    missing("socket.SO_RCVTIMEO", "socket.SO_SNDTIMEO")
    missing("select.poll", "select.epoll", "selectors.PollSelector", "selectors.EpollSelector")
    missing("os.register_at_fork", "os.fork", "os.pidfd_open", "os.uname", "os.getloadavg")
    missing("signal.SIGPIPE", "signal.SIGHUP", "signal.SIGALRM", "signal.setitimer")
    sys.modules["resource"] = sys.modules["fcntl"] = None
    os.readlink = lambda *_: (_ for _ in ()).throw(OSError(2, "no /proc"))
    import errno
    errno.WSAEINVAL = 10022  # zeroconf asks for it
    sys.platform = "win32"
"""
)

MACOS = (
    _COMMON
    + """
    socket.socket = Socket
    selectors.DefaultSelector = selectors.PollSelector
    missing("socket.AF_NETLINK", "select.epoll", "selectors.EpollSelector", "os.pidfd_open")
    os.readlink = lambda *_: (_ for _ in ()).throw(OSError(2, "no /proc"))
    sys.platform = "darwin"
"""
)
