# -*- test-case-name: tests.config.test_graph -*-
"""
What units want of each other: whether it can be had, and in which order.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sockhost.config.text import unknown
from sockhost.config.units import Draft
from sockhost.config.values import Problem, UnitConfig

_WAYS = ("after", "requires", "uses")


def dependency_problems(drafts: Sequence[Draft]) -> dict[str, list[Problem]]:
    """
    Find the units that depend on what is not there, on themselves, or on each
    other in a circle.

    @return: the problems of each of these units.
    """
    names = {draft.name for draft in drafts}
    found: dict[str, list[Problem]] = {}
    for draft in drafts:
        for way, index, name in _wishes(draft):
            expected = _impossible(draft.name, name, names)
            if expected:
                problem = draft.problem((way, index), expected)
                found.setdefault(draft.name, []).append(problem)
    for name, problem in _cycle_problems(drafts):
        found.setdefault(name, []).append(problem)
    return found


def _wishes(draft: Draft) -> Iterator[tuple[str, int, str]]:
    for way in _WAYS:
        for index, name in enumerate(getattr(draft.common, way, ())):
            yield way, index, name


def _impossible(own: str, name: str, names: Collection[str]) -> str:
    if name == own:
        return "a unit cannot depend on itself"
    if name in names:
        return ""
    return unknown("unit", name, [other for other in names if other != own])


def _cycle_problems(drafts: Sequence[Draft]) -> Iterator[tuple[str, Problem]]:
    graph = {
        draft.name: list(
            dict.fromkeys(name for _, _, name in _wishes(draft) if name != draft.name)
        )
        for draft in drafts
    }
    within = _trimmed(graph)
    for draft in drafts:
        cycle = _cycle(draft.name, within)
        if cycle:
            way, index = next(
                (way, index) for way, index, name in _wishes(draft) if name == cycle[1]
            )
            expected = "dependency cycle: " + " → ".join(cycle)
            yield draft.name, draft.problem((way, index), expected)


def _trimmed(graph: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Leave out what depends on nothing, until all that is left depends on more."""
    known = {name: [d for d in wants if d in graph] for name, wants in graph.items()}
    left = set(known) - set(ordered(known))
    return {name: [want for want in known[name] if want in left] for name in left}


def _cycle(start: str, graph: Mapping[str, list[str]]) -> list[str]:
    """The shortest way from a unit back to itself; empty if there is none."""
    came_from: dict[str, str] = {}
    queue = deque([start] if start in graph else [])
    while queue:
        name = queue.popleft()
        for want in graph[name]:
            if want == start:
                return _path_back(start, name, came_from)
            if want not in came_from:
                came_from[want] = name
                queue.append(want)
    return []


def _path_back(start: str, last: str, came_from: Mapping[str, str]) -> list[str]:
    path = [start, last] if last != start else [start]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return [start, *reversed(path[1:-1]), start]


def ordered(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """
    Put names behind those that they want, otherwise in the order given.

    @param graph: what each name wants; all of it must be in the graph.
    @return: the names without those in a circle or behind one.
    """
    place = {name: index for index, name in enumerate(graph)}
    waiting = {name: set(wants) for name, wants in graph.items()}
    wanted_by: dict[str, list[str]] = {}
    for name, wants in waiting.items():
        for want in wants:
            wanted_by.setdefault(want, []).append(name)
    ready = [place[name] for name, wants in waiting.items() if not wants]
    names, result = list(graph), []
    while ready:
        name = names[heapq.heappop(ready)]
        result.append(name)
        for other in wanted_by.get(name, ()):
            waiting[other].discard(name)
            if not waiting[other]:
                heapq.heappush(ready, place[other])
    return result


def in_order(units: Sequence[UnitConfig]) -> tuple[UnitConfig, ...]:
    """Put units behind those that they depend on, otherwise as they stand."""
    by_name = {unit.name: unit for unit in units}
    graph = {
        unit.name: [name for name in unit.dependencies if name in by_name]
        for unit in units
    }
    return tuple(by_name[name] for name in ordered(graph))
