"""Which user has the other end of a connection within this machine. Linux: sock_diag(7).

Any user of a host can listen at a free port of the loopback address, and connect to the ports of others.
Without a token only the kernel knows who is there.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from struct import Struct
from typing import Final

from fanlight.common.users import user_name

ONLY_OURS: Final = (
    "without a token only processes of one user, and root's, connect to one another on a host: give "
    "producer and consumers the same token (FANLIGHT_TOKEN or --token-file FILE)"
)

_SOCK_DIAG: Final = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY, _REQUEST = 20, 1
# nlmsghdr: length, type, flags, sequence, process.
_HEADER: Final = Struct("=IHHII")
# inet_diag_req_v2: family, protocol, extensions, states; then inet_diag_sockid: ports and addresses of the
# socket and of its peer, interface, cookie (none).
_QUESTION: Final = Struct("=BBBxI4s16s16sIII")
# inet_diag_msg: family ... timers and queues, user, inode.
_ANSWER: Final = Struct("=64xII")
_ERROR: Final = Struct("=i")
_ANY: Final = 2**32 - 1
_ESTABLISHED: Final = 1
_ANSWER_S: Final = 1.0
# No such socket here; the kernel cannot tell; a sandbox forbids to ask. Not: too few descriptors, say.
_UNKNOWN: Final = frozenset(
    {
        errno.ENOENT, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES
    }
)  # fmt: skip


def other_user(sock: socket.socket) -> str | None:
    """The name of the user at the other end; None if it is this user's, root's, or of another machine.

    Also None where the kernel does not tell: other systems, and connections that Docker redirects.

    Raises:
        OSError: the other end is closed, so that it is nobody's any more, or the kernel cannot be asked.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sys.platform != "linux":
        return None
    user, inode = _owner(sock.family, sock.getpeername(), sock.getsockname()) or (0, None)
    established = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED
    if inode == 0 or (inode is None and not established):
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return None if user in (0, os.geteuid()) else user_name(user)


def _owner(family: int, own: tuple[str, int], peer: tuple[str, int]) -> tuple[int, int] | None:
    """User and inode of the socket with these addresses; None if the kernel knows none."""
    question = _QUESTION.pack(
        family, socket.IPPROTO_TCP, 0, _ANY,
        own[1].to_bytes(2, "big") + peer[1].to_bytes(2, "big"),
        socket.inet_pton(family, own[0]), socket.inet_pton(family, peer[0]), 0, _ANY, _ANY,
    )  # fmt: skip
    try:
        answer = _asked(question)
    except OSError as error:
        if error.errno in _UNKNOWN:
            return None
        raise
    user, inode = _ANSWER.unpack_from(answer, _HEADER.size)
    return user, inode


def _asked(question: bytes) -> bytes:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(_ANSWER_S)
        kernel.send(_HEADER.pack(_HEADER.size + len(question), _BY_FAMILY, _REQUEST, 0, 0) + question)
        answer = kernel.recv(4096)
    if _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        code = -_ERROR.unpack_from(answer, _HEADER.size)[0]
        raise OSError(code, os.strerror(code))
    return answer
