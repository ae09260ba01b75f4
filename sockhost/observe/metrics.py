# -*- test-case-name: tests.observe.test_metrics -*-
"""
The numbers of a host for Prometheus: those of its status, and no others.

What the host and every unit have is named here.  Of what a kind tells besides,
every number is a metric, C{sockhost_KIND_KEY}, so that the numbers of a third
party's kind are there too:

    - C{True} and C{False} are 1 and 0; texts and C{None} are left out;
    - the parts of a unit (workers of a socket, nodes of a cluster) have the
      label C{part} with their number or address;
    - what is counted for several reasons has the label C{reason};
    - what only grows ends in C{_total}, and times in C{_seconds}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any, cast

from attrs import define, field, frozen
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from sockhost.status import Goal, HostStatus, Phase, State

COUNTERS = frozenset(
    (
        "accepted",
        "bytes_in",
        "bytes_out",
        "dropped",
        "errors",
        "frames_in",
        "frames_out",
        "reconnects",
        "refused",
        "refused_for",
        "restarts",
    )
)
"""The keys of what only grows."""

TIMES = frozenset(("last_run", "latency", "next_run", "since"))
"""The keys of what is in seconds."""

_NO_MEASURE = frozenset(("index", "mode", "pid", "protocol"))
_PART = ("index", "address")
_HISTOGRAM = "below_us"
_UNIT = ("unit", "kind")


@frozen
class _Sample:
    """
    One number.

    @ivar path: the keys that lead to it.
    """

    path: tuple[str, ...]
    labels: Mapping[str, str]
    value: float


@frozen
class _Durations:
    """
    Counts of durations.

    @ivar below: how many stayed below so many microseconds and below none of
        the smaller limits.
    """

    path: tuple[str, ...]
    labels: Mapping[str, str]
    below: Mapping[str, int]

    def buckets(self) -> Iterator[tuple[str, float]]:
        """The limits in seconds, with all that stayed below each."""
        seen = 0
        for limit in sorted(self.below, key=int):
            seen += self.below[limit]
            yield repr(int(limit) / 1e6), seen
        yield "+Inf", seen


@define(eq=False)
class HostCollector(Collector):
    """Makes metrics of one state of a host."""

    _host: HostStatus
    _samples: dict[str, list[_Sample | _Durations]] = field(factory=dict, init=False)

    def collect(self) -> Iterable[Metric]:
        """
        Make the metrics.  Units of all kinds share one where its name comes out
        the same: what one of them has no label for is empty there.
        """
        yield from self._of_host()
        yield from self._of_units()
        for unit in self._host.units:
            for found in _numbers(unit.details, (), {"unit": unit.name}):
                name = _name(unit.kind, *found.path)
                self._samples.setdefault(name, []).append(found)
        for name in sorted(self._samples):
            yield from _families(name, self._samples[name])

    def _of_host(self) -> Iterator[Metric]:
        host = self._host
        about = {"name": host.name, "version": host.version}
        yield InfoMetricFamily("sockhost", "Which host this is.", value=about)
        for name, text, value in (
            ("ready", "1 once all was up or given up.", host.phase is Phase.READY),
            ("start_time_seconds", "When the host started.", host.started),
            ("problems", "What is wrong with the configuration.", len(host.problems)),
        ):
            yield GaugeMetricFamily(f"sockhost_{name}", text, value=float(value))

    def _of_units(self) -> Iterator[Metric]:
        goal = GaugeMetricFamily(
            "sockhost_unit_goal", "1 if it is meant to be up.", labels=_UNIT
        )
        state = GaugeMetricFamily(
            "sockhost_unit_state",
            "1 for the state that it is in.",
            labels=(*_UNIT, "state"),
        )
        since = GaugeMetricFamily(
            "sockhost_unit_since_seconds", "When it entered its state.", labels=_UNIT
        )
        restarts = CounterMetricFamily(
            "sockhost_unit_restarts", "Starts by its keeper.", labels=_UNIT
        )
        for unit in self._host.units:
            labels = (unit.name, unit.kind)
            goal.add_metric(labels, float(unit.goal is Goal.UP))
            since.add_metric(labels, unit.since)
            restarts.add_metric(labels, unit.restarts)
            for each in State:
                state.add_metric((*labels, each.value), float(unit.state is each))
        yield from (goal, state, since, restarts)


def exposition(host: HostStatus) -> tuple[str, bytes]:
    """
    Write the numbers of a host in the text format of Prometheus.

    @return: what HTTP calls the format, and the text.
    """
    text: bytes = generate_latest(cast(Any, HostCollector(host)))
    return CONTENT_TYPE_LATEST, text


def _numbers(
    value: object, path: tuple[str, ...], labels: Mapping[str, str]
) -> Iterator[_Sample | _Durations]:
    if isinstance(value, bool | int | float):
        yield _Sample(path, labels, _as_float(value))
    elif isinstance(value, Mapping):
        if isinstance(value.get(_HISTOGRAM), Mapping):
            yield _Durations(path, labels, value[_HISTOGRAM])
        elif path and path[-1] in COUNTERS:
            yield from _by_reason(value, path, labels)
        else:
            yield from _of_keys(value, path, labels)
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            if isinstance(part, Mapping):
                yield from _of_part(place, part, path, labels)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _of_keys(
    value: Mapping[Any, object], path: tuple[str, ...], labels: Mapping[str, str]
) -> Iterator[_Sample | _Durations]:
    for key, each in value.items():
        if key not in _NO_MEASURE:
            yield from _numbers(each, (*path, str(key)), labels)


def _by_reason(
    value: Mapping[Any, object], path: tuple[str, ...], labels: Mapping[str, str]
) -> Iterator[_Sample | _Durations]:
    for reason, count in value.items():
        yield from _numbers(count, path, {**labels, "reason": _text(reason)})


def _of_part(
    place: int,
    part: Mapping[str, object],
    path: tuple[str, ...],
    labels: Mapping[str, str],
) -> Iterator[_Sample | _Durations]:
    name = next((_text(part[key]) for key in _PART if key in part), str(place))
    # Workers are counted as the socket is that they serve together.
    yield from _of_keys(part, path[:-1], {**labels, "part": name})


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()


def _name(*words: str) -> str:
    return "sockhost_" + "_".join(
        re.sub(r"\W", "_", each, flags=re.A) for each in words
    )


def _families(name: str, found: list[_Sample | _Durations]) -> Iterator[Metric]:
    labels = sorted({label for each in found for label in each.labels})
    numbers = [each for each in found if isinstance(each, _Sample)]
    durations = [each for each in found if isinstance(each, _Durations)]
    text = "What the status says by this name."
    if numbers:
        key = numbers[0].path[-1]
        name_with_unit = f"{name}_seconds" if key in TIMES else name
        make = CounterMetricFamily if key in COUNTERS else GaugeMetricFamily
        family: Any = make(name_with_unit, text, labels=labels)
        for one in numbers:
            family.add_metric([one.labels.get(each, "") for each in labels], one.value)
        yield family
    if durations:
        histogram = HistogramMetricFamily(f"{name}_seconds", text, labels=labels)
        for many in durations:
            values = [many.labels.get(each, "") for each in labels]
            histogram.add_metric(values, list(many.buckets()), sum_value=None)
        yield histogram
