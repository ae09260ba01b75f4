"""
Tests for the codec in the documentation.
"""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import ICodecKind
from sockhost.testing.contracts.codecs import codec_contract_tests

LISTING = Path(__file__).resolve().parents[2] / "docs" / "listings" / "word_codec.py"


def listing() -> ModuleType:
    """Import it, which is in no package."""
    spec = spec_from_file_location("word_codec", LISTING)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WordContractTests = codec_contract_tests(
    lambda: listing().words.make(100),
    payloads=(b"a", b"", b"words"),
    garbage=b"x" * 100,
    too_large=b"x" * 100,
)


class WordsTests(SynchronousTestCase):
    """Tests for the kind."""

    def test_interface(self) -> None:
        """It is one that a host can use."""
        verifyObject(ICodecKind, listing().words)
