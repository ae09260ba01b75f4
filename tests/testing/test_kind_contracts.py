"""
Every kind that ships keeps the contract of kinds, without a system.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from sockhost.interfaces import IUnitHost
from sockhost.testing.contracts import kind_contract_tests
from sockhost.testing.units import MemoryUnitHost
from tests.testing.test_contracts import KINDS


def surroundings(case: TestCase) -> IUnitHost:
    """A host for units that are only made."""
    return MemoryUnitHost(case.mktemp(), MemoryReactorClock())


SocketKindContractTests = kind_contract_tests(
    KINDS["socket"],
    {"path": "kv.sock", "handler": "module:Class"},
    surroundings,
    bad=[
        {"path": "kv.sock"},
        {"path": "k" * 108, "handler": "module:Class"},
        {"path": "kv.sock", "handler": "no colon"},
        {"path": "kv.sock", "handler": "module:Class", "workers": -1},
    ],
)


ProcessKindContractTests = kind_contract_tests(
    KINDS["process"],
    {"argv": ["/bin/sleep", "60"], "ready": {"delay": 1.0}},
    surroundings,
    bad=[{}, {"argv": []}, {"argv": ["x"], "stop_signal": "SIGNOTHING"}],
)


CronKindContractTests = kind_contract_tests(
    KINDS["cron"],
    {"argv": ["/bin/true"], "schedule": "* * * * *"},
    surroundings,
    bad=[{"argv": ["x"], "schedule": "* *"}, {"schedule": "never"}],
)


RedisKindContractTests = kind_contract_tests(
    KINDS["redis"],
    {"url": "unix:///run/v.sock", "timeout": 2},
    surroundings,
    bad=[{}, {"url": "http://x"}, {"url": "unix:///v.sock", "timeout": -1}],
)


SocketClientKindContractTests = kind_contract_tests(
    KINDS["socket-client"],
    {"path": "kv.sock", "match": "number"},
    surroundings,
    bad=[{}, {"path": "k" * 108}, {"path": "kv.sock", "match": "luck"}],
)


TapKindContractTests = kind_contract_tests(
    KINDS["tap"],
    {"tap": "web", "args": ["--listen", "tcp:0"]},
    surroundings,
    bad=[{}, {"tap": "web", "grace": 0}],
)


class AllKindsTests(TestCase):
    """No kind is forgotten here."""

    def test_all(self) -> None:
        """Each kind that comes with sockhost is put through its contract."""
        ours = {n for n, k in KINDS.items() if type(k).__module__.startswith("sockh")}
        tested = {
            each.kind.name
            for each in globals().values()
            if isinstance(each, type) and hasattr(each, "kind")
        }
        self.assertEqual(tested, ours)
