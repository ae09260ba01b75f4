"""
Has atheris think of bytes: C{python -m tests.fuzz.with_atheris codec|session|hub
[OPTIONS OF LIBFUZZER]}, such as C{-max_total_time=60}.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import atheris  # type: ignore
from twisted.logger import ILogObserver, LogEvent, globalLogBeginner
from zope.interface import implementer

with atheris.instrument_imports(include=["sockhost.sockets"]):
    from tests.fuzz.codec_target import check_codec
    from tests.fuzz.hub_target import check_hub
    from tests.fuzz.session_target import check_session

TARGETS = {"codec": check_codec, "session": check_session, "hub": check_hub}


FAILED = ValueError
"""What handlers of the targets fail with; any other failure is a defect."""


def watched(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Have a target raise for what is logged, too."""
    defects: list[LogEvent] = []

    @implementer(ILogObserver)
    def note(event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None and not failure.check(FAILED):
            defects.append(event)

    globalLogBeginner.beginLoggingTo([note], redirectStandardIO=False)

    def run(data: bytes) -> None:
        target(data)
        assert not defects, defects

    return run


def main() -> None:
    """Look for bytes for which something does not hold, until told to stop."""
    target = watched(TARGETS[sys.argv.pop(1)])
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
