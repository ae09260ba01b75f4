# -*- test-case-name: tests.observe.test_metrics -*-
"""
Tests for L{sockhost.observe.metrics}.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isnan, nan

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from sockhost.observe.metrics import exposition
from sockhost.status import Goal, HostStatus, Phase, State, UnitStatus

Labels = frozenset[tuple[str, str]]


def unit(name: str, kind: str, details: Mapping[str, object]) -> UnitStatus:
    """A unit that is up."""
    return UnitStatus(
        name=name,
        kind=kind,
        goal=Goal.UP,
        state=State.UP,
        since=1.5,
        restarts=2,
        details=details,
    )


def host(*units: UnitStatus) -> HostStatus:
    """A host that is ready."""
    return HostStatus(
        name='a "host"\n',
        version="1.2",
        pid=17,
        phase=Phase.READY,
        started=1000.5,
        config="c",
        run_dir="r",
        control="s",
        problems=("one",),
        units=units,
    )


def numbers(status: HostStatus) -> dict[tuple[str, Labels], float]:
    """What a reader of the exposition makes of it."""
    _, text = exposition(status)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def labels(**given: str) -> Labels:
    """Labels as they are read."""
    return frozenset(given.items())


class HostTests(SynchronousTestCase):
    """What is told of the host and of every unit."""

    def test_format(self) -> None:
        """It says what its format is called, and ends with a line end."""
        kind, text = exposition(host())
        self.assertTrue(kind.startswith("text/plain; version="))
        self.assertTrue(text.endswith(b"\n"))

    def test_host(self) -> None:
        """Which host it is, since when, and whether it is ready."""
        found = numbers(host())
        about = labels(name='a "host"\n', version="1.2")
        self.assertEqual(found["sockhost_info", about], 1)
        self.assertEqual(found["sockhost_ready", labels()], 1)
        self.assertEqual(found["sockhost_start_time_seconds", labels()], 1000.5)
        self.assertEqual(found["sockhost_problems", labels()], 1)

    def test_unit(self) -> None:
        """What a unit is meant to be and is, since when, and how often again."""
        found = numbers(host(unit("kv", "socket", {})))
        this = {"unit": "kv", "kind": "socket"}
        self.assertEqual(found["sockhost_unit_goal", labels(**this)], 1)
        self.assertEqual(found["sockhost_unit_since_seconds", labels(**this)], 1.5)
        self.assertEqual(found["sockhost_unit_restarts_total", labels(**this)], 2)
        for state in State:
            is_it = found["sockhost_unit_state", labels(**this, state=state.value)]
            self.assertEqual(is_it, float(state is State.UP))


class DetailsTests(SynchronousTestCase):
    """What is told of what a kind says."""

    def found(
        self, kind: str, details: Mapping[str, object]
    ) -> dict[tuple[str, Labels], float]:
        """The numbers of one unit, without what every unit has."""
        found = numbers(host(unit("u", kind, details)))
        usual = numbers(host(unit("u", kind, {})))
        return {key: value for key, value in found.items() if key not in usual}

    def test_redis(self) -> None:
        """Numbers and truths are told, counters and seconds by their names."""
        details = {
            "url": "unix:///x",
            "connected": True,
            "server_version": None,
            "protocol": 3,
            "queued": 4,
            "latency": 0.25,
            "reconnects": 7,
        }
        here = labels(unit="u")
        self.assertEqual(
            self.found("redis", details),
            {
                ("sockhost_redis_connected", here): 1,
                ("sockhost_redis_queued", here): 4,
                ("sockhost_redis_latency_seconds", here): 0.25,
                ("sockhost_redis_reconnects_total", here): 7,
            },
        )

    def test_parts(self) -> None:
        """Workers and nodes are told apart."""
        details = {
            "workers": [
                {"index": 1, "pid": 5, "frames_in": 3},
                {"index": 2, "pid": 6, "frames_in": 4},
            ],
            "nodes": [{"address": "h:1", "queued": 2}],
        }
        self.assertEqual(
            self.found("some-kind", details),
            {
                (
                    "sockhost_some_kind_frames_in_total",
                    labels(unit="u", part="1"),
                ): 3,
                (
                    "sockhost_some_kind_frames_in_total",
                    labels(unit="u", part="2"),
                ): 4,
                ("sockhost_some_kind_queued", labels(unit="u", part="h:1")): 2,
            },
        )

    def test_reasons(self) -> None:
        """What is counted by reasons is."""
        found = self.found("socket", {"refused": {"access": 2, "max_clients": 0}})
        name = "sockhost_socket_refused_total"
        self.assertEqual(
            found,
            {
                (name, labels(unit="u", reason="access")): 2,
                (name, labels(unit="u", reason="max_clients")): 0,
            },
        )

    def test_why_refused(self) -> None:
        """What a socket has refused for several reasons is counted by them."""
        found = self.found("socket", {"refused": 3, "refused_for": {"access": 3}})
        self.assertEqual(
            found,
            {
                ("sockhost_socket_refused_total", labels(unit="u")): 3,
                (
                    "sockhost_socket_refused_for_total",
                    labels(unit="u", reason="access"),
                ): 3,
            },
        )

    def test_nested(self) -> None:
        """What is within something has the names of both."""
        found = self.found("socket", {"prototype": {"pid": 3, "clients": 1}})
        name = "sockhost_socket_prototype_clients"
        self.assertEqual(found, {(name, labels(unit="u")): 1})

    def test_durations(self) -> None:
        """Durations are a histogram in seconds."""
        latency = {"count": 3, "p50_us": 4, "below_us": {"16": 2, "4": 1}}
        found = self.found("socket", {"latency": latency})
        name = "sockhost_socket_latency_seconds_bucket"
        buckets = {
            dict(key[1])["le"]: value for key, value in found.items() if key[0] == name
        }
        self.assertEqual(buckets, {"4e-06": 1, "1.6e-05": 3, "+Inf": 3})

    def test_several_units(self) -> None:
        """Units of one kind share a metric, whatever else each has."""
        plain = unit("a", "socket", {"clients": 1})
        parted = unit("b", "socket", {"workers": [{"index": 1, "clients": 2}]})
        found = numbers(host(plain, parted))
        name = "sockhost_socket_clients"
        self.assertEqual(found[name, labels(unit="a", part="")], 1)
        self.assertEqual(found[name, labels(unit="b", part="1")], 2)

    def test_same_name(self) -> None:
        """Two kinds whose keys come out alike are one metric, not an error."""
        one = unit("a", "x", {"y_z": 1})
        other = unit("b", "x-y", {"z": 2})
        found = numbers(host(one, other))
        self.assertEqual(found["sockhost_x_y_z", labels(unit="a")], 1)
        self.assertEqual(found["sockhost_x_y_z", labels(unit="b")], 2)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.text(max_size=3) | st.sampled_from(("latency", "errors")),
                    inner,
                    max_size=3,
                )
            ),
            max_leaves=8,
        )
    )
    def test_anything(self, value: object) -> None:
        """Whatever a kind says, the others are told of."""
        odd = unit("odd", "odd", {"value": value})
        found = numbers(host(odd, unit("kv", "socket", {"clients": 3})))
        self.assertEqual(found["sockhost_socket_clients", labels(unit="kv")], 3)

    def test_no_numbers(self) -> None:
        """What is no finite number is told as Prometheus writes it."""
        found = self.found("k", {"a": inf, "b": nan})
        self.assertEqual(found["sockhost_k_a", labels(unit="u")], inf)
        self.assertTrue(isnan(found["sockhost_k_b", labels(unit="u")]))
        found = self.found("k", {"a": 10**400, "b": -(10**400)})
        self.assertEqual(list(found.values()), [inf, -inf])

    def test_odd_texts(self) -> None:
        """Names and texts that Prometheus has not are made to fit."""
        found = self.found("k\u00e9", {"a b": 1, "errors": {"\ud800": 2}})
        self.assertEqual(
            found,
            {
                ("sockhost_k__a_b", labels(unit="u")): 1,
                ("sockhost_k__errors_total", labels(unit="u", reason="?")): 2,
            },
        )
