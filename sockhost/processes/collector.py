# -*- test-case-name: tests.processes.test_collector -*-
"""
How often Python looks for garbage, in a process that is ready to serve.
"""

from __future__ import annotations

import gc

YOUNG = 10_000
"""
How many more containers are made than freed between two looks at the young ones.
Python's 700 are made for 100 requests that wait for their Deferreds, and none of
them is garbage: looking through them again and again took 0.5 of the 2 microseconds
that each such request costs.
"""


def settle_in() -> None:
    """
    Take all that is loaded for what stays, and look less often through what is
    new.  Who has asked for even fewer looks, or for none, keeps to that.
    """
    # Each time that the collector looked through what is loaded, nobody would
    # be served for 30 ms; and in a process that has forked it would copy pages.
    gc.freeze()
    young, *others = gc.get_threshold()
    if 0 < young < YOUNG:
        gc.set_threshold(YOUNG, *others)
