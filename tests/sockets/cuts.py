"""
Streams in pieces.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut bytes at some places."""
    edges = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]
