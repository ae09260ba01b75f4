# -*- test-case-name: tests.processes.test_spec -*-
"""
What is to be executed, as a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import field, frozen

#: The descriptors of a child that are its output.
STDOUT = 1
STDERR = 2


def _strings(value: Sequence[str]) -> tuple[str, ...]:
    return tuple(value)


def _not_empty(_instance: Any, _attribute: Any, value: tuple[str, ...]) -> None:
    if not value or not value[0]:
        raise ValueError("argv must name a program")


@frozen(kw_only=True)
class ChildSpec:
    """
    What is to be executed, and how.

    @ivar argv: the program and its arguments.  A program without a slash is
        looked up in the C{PATH} of the child's environment; one with a slash
        that does not begin with one is relative to C{cwd}.
    @ivar env: the whole environment of the child; C{None} for the host's.
    @ivar cwd: the directory to run in; C{None} for the host's.
    @ivar user: name or number of the user to run as; C{None} for the host's.
    @ivar group: name or number of the group to run as; C{None} for the main
        group of C{user}.
    @ivar umask: the file mode mask; C{None} for the host's.
    @ivar stdin: C{"null"}; C{"pipe"} for what is written to the child; or a
        descriptor of the host, which stays open here.
    @ivar output: C{"merged"}: stdout and stderr in the order in which they were
        written, told as data of descriptor 1; C{"separate"}: told as data of
        1 and of 2; C{"null"}: thrown away; C{"inherit"}: goes where the host's
        goes; or a descriptor of the host that gets both, and stays open here.
    @ivar pass_fds: further descriptors of the host that the child gets, under
        the same numbers.  Tell it the numbers in C{argv} or C{env}.
    @ivar drain: seconds after the child's exit during which output is still
        taken from others that hold its pipes.
    """

    argv: tuple[str, ...] = field(converter=_strings, validator=_not_empty)
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    user: str | None = None
    group: str | None = None
    umask: int | None = None
    stdin: Literal["null", "pipe"] | int = "null"
    output: Literal["merged", "separate", "null", "inherit"] | int = "merged"
    pass_fds: tuple[int, ...] = ()
    drain: float = 1.0
