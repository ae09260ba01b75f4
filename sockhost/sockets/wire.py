# -*- test-case-name: tests.sockets.test_wire -*-
"""
The frame on the wire: a length of four bytes in the byte order of the machine,
which counts itself, and then the payload.

Imports nothing that takes time: the command line uses it too.
"""

from __future__ import annotations

from struct import Struct

# Not from sockhost.interfaces, which loads zope.interface.
from sockhost._errors import FrameError

HEADER = Struct("=I")
HEADER_SIZE = HEADER.size
MAX_FRAME = 16 * 1024 * 1024
"""The greatest length that is accepted unless something else is said."""


def check_length(length: int, max_frame: int) -> FrameError | None:
    """
    Judge what a header says.

    @param length: the length in the header, which counts the header.
    @param max_frame: the greatest length that is accepted.
    @return: C{None} if such a frame can be taken, else why it cannot.
    """
    if length < HEADER_SIZE:
        return FrameError(
            f"a frame says it is {length} bytes long; its header alone is {HEADER_SIZE}"
        )
    if length > max_frame:
        return FrameError(
            f"a frame of {length} bytes is more than the limit of {max_frame}"
        )
    return None


def pack(payload: bytes, max_frame: int = MAX_FRAME) -> bytes:
    """
    Make the bytes of one frame.

    @param max_frame: the greatest length of the whole frame, header included.
    @raise FrameError: the frame would be longer.
    """
    length = len(payload) + HEADER_SIZE
    if length > max_frame:
        raise FrameError(
            f"a frame of {length} bytes is more than the limit of {max_frame}"
        )
    return HEADER.pack(length) + payload
