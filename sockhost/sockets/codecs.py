# -*- test-case-name: tests.sockets.test_codecs -*-
"""
The codecs by the names that C{framing =} gives them: our own, and those of
installed packages, found by L{twisted.plugin}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

import twisted.plugins
from attrs import define
from twisted.logger import Logger
from twisted.plugin import getPlugins
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.interfaces import ICodec, ICodecKind
from sockhost.sockets.framing import Int32Codec, Length32Codec
from sockhost.sockets.line import LineCodec
from sockhost.sockets.netstring import NetstringCodec

DEFAULT = "length32"

_log = Logger()


@implementer(ICodecKind)
@define
class _Own:
    """A codec of ours."""

    name: str
    _codec: Callable[[int], ICodec]

    def make(self, max_frame: int) -> ICodec:
        """Make a codec for one stream."""
        return self._codec(max_frame)


_OURS: Mapping[str, ICodecKind] = {
    each.name: each
    for each in (
        _Own(DEFAULT, Length32Codec),
        _Own("length32be-exclusive", Int32Codec),
        _Own("netstring", NetstringCodec),
        _Own("line", LineCodec),
    )
}


def find_codec(
    name: str, package: ModuleType = twisted.plugins
) -> Callable[[int], ICodec] | None:
    """
    Look up a codec by its name.  Packages are looked into only for names that
    are not ours.

    @param package: where plugins are looked for.
    @return: makes a codec of that kind for one stream, given C{max_frame};
        C{None} if there is no such kind.
    """
    if name == DEFAULT:
        # The class itself, as a server looks whether it may take its short cut.
        return Length32Codec
    kind = _OURS.get(name) or _installed(package).get(name)
    return None if kind is None else kind.make


def codec_names(package: ModuleType = twisted.plugins) -> list[str]:
    """Name every codec that can be asked for, ours first."""
    return [*_OURS, *sorted(_installed(package).keys() - _OURS.keys())]


def _installed(package: ModuleType) -> dict[str, ICodecKind]:
    found: dict[str, ICodecKind] = {}
    for kind in getPlugins(ICodecKind, package):
        try:
            verifyObject(ICodecKind, kind)
        except Exception as error:
            # What a foreign object raises when it is looked at is its affair.
            problem = " ".join(str(error).split())
            _log.error("codec {kind!r} is not used: {why}", kind=kind, why=problem)
        else:
            found.setdefault(kind.name, kind)
    return found
