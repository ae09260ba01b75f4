# -*- test-case-name: tests.config.test_describe -*-
"""
Tests for L{sockhost.config.describe}.
"""

from __future__ import annotations

from typing import Any

from attrs import Factory, field, fields, frozen
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import (
    HostSettings,
    KeyDoc,
    RestartPolicy,
    UnitConfig,
    describe,
)
from tests.config.test_kinds import ThingConfig


@frozen
class Base:
    """
    Something.

    @ivar a: the first.
    """

    a: int = 1


@frozen
class Tree(Base):
    """
    Something that holds itself.

    @ivar b: the second,
        on two lines.
    @ivar c: the third.
    """

    b: tuple[int, str] = (1, "x")
    c: tuple[Tree, ...] = ()
    d: int | list[str] = field(factory=list)
    e: int = field(default=Factory(lambda self: self.a, takes_self=True))
    f: list[list[int]] = field(factory=list)
    g: dict[str, Base] = field(factory=dict)
    h: tuple[bool, ...] = ()


class DescribeTests(SynchronousTestCase):
    """Tests for L{describe}."""

    def test_thing(self) -> None:
        """Each key has its type, default and text; keys of tables follow theirs."""
        found = [(one.key, one.type, one.default) for one in describe(ThingConfig)]
        self.assertEqual(
            found,
            [
                ("path", "a string", "required"),
                ("argv", "an array of strings", '["true"]'),
                ("env", "a table of strings", "{}"),
                ("options", "a table", "{}"),
                ("workers", "an integer", "0"),
                ("mode", 'one of "stream", "datagram"', '"stream"'),
                ("ready", "a table", "none"),
                ("ready.connect", "a string", "none"),
                ("ready.delay", "a number", "0.0"),
                ("more", "an array of tables", "[]"),
                ("more[].connect", "a string", "none"),
                ("more[].delay", "a number", "0.0"),
                ("size", "an integer or a string", "0"),
            ],
        )

    def test_texts(self) -> None:
        """The text is that of the docstring, on one line, as epytext."""
        texts = {one.key: one.doc for one in describe(ThingConfig)}
        self.assertEqual(texts["path"], "where it C{listens}.")
        self.assertEqual(texts["workers"], "how many, as in L{Ready}.")
        self.assertEqual(texts["ready"], "see L{there<Ready>}.")
        self.assertEqual(texts["size"], "")

    def test_tree(self) -> None:
        """Inherited texts are found, and a class within itself is not endless."""
        self.assertEqual(
            describe(Tree)[:2],
            (
                KeyDoc(key="a", type="an integer", default="1", doc="the first."),
                KeyDoc(
                    key="b",
                    type="an array of an integer, a string",
                    default='[1, "x"]',
                    doc="the second, on two lines.",
                ),
            ),
        )
        self.assertEqual(
            [(one.key, one.type, one.default) for one in describe(Tree)[2:]],
            [
                ("c", "an array of tables", "[]"),
                ("d", "an integer or an array of strings", "[]"),
                ("e", "an integer", "none"),
                ("f", "an array of arrays of integers", "[]"),
                ("g", "a table of tables", "{}"),
                ("g.NAME.a", "an integer", "1"),
                ("h", "an array of true or false", "[]"),
            ],
        )

    def test_ours_are_documented(self) -> None:
        """Every key that each host and unit has is documented."""
        for config_class in (HostSettings, RestartPolicy):
            for one in describe(config_class):
                self.assertTrue(one.doc, one.key)
        texts: dict[str, Any] = {one.key: one.doc for one in describe(UnitConfig)}
        for name in ("enabled", "description", "after", "requires", "uses"):
            self.assertTrue(texts[name], name)
        self.assertLessEqual(
            {one.name for one in fields(RestartPolicy)},
            {one.key.removeprefix("policy.") for one in describe(UnitConfig)},
        )
