# -*- test-case-name: tests.sockets.test_ends -*-
"""
Words for why a socket ends the connection of a client, to count them by.  What
the handler and the log are told says more.
"""

from __future__ import annotations

BAD_FRAME = "frame"
"""It has sent what is no frame, or too large a one."""

FAILURE = "failure"
"""The handler has failed at its frame."""

HANDLER = "handler"
"""The handler has dropped it."""

KICK = "kicked"
"""Whoever runs the host has."""

HOLDS_MOST = "max_buffered"
"""All clients hold too much, and this one most."""

DESCRIPTORS = "descriptors"
"""It has passed more descriptors than are taken, or than are left."""

FRAME_TIMEOUT = "frame_timeout"
IDLE_TIMEOUT = "idle_timeout"
STALL_TIMEOUT = "stall_timeout"
"""It has been waited for longer than these limits allow."""
