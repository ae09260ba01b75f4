# -*- test-case-name: tests.redis.test_dialing -*-
"""
As whom to appear before a server, where that is asked for each time: tokens
that expire, secrets that are kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from importlib import import_module
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisError

#: Is called for each new connection; returns user (C{None} for the default one)
#: and password, or a Deferred or a coroutine of both.
Provider = Callable[[], Any]
Credentials = tuple[str | None, str]


def find_provider(given: Any) -> Provider | None:
    """
    Take a provider, or find the one that C{"module:name"} names.

    @raise RedisError: there is none.
    """
    if not isinstance(given, str):
        provider: Provider | None = given
        return provider
    module, _, name = given.partition(":")
    try:
        found: Provider = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise RedisError(f"credentials: cannot find {given!r}: {error}") from error
    return found


async def ask(provider: Provider) -> Credentials:
    """
    Ask a provider.

    @raise RedisError: it does not say what it should.  What it raises passes.
    """
    said = provider()
    if iscoroutine(said):
        coroutine: Coroutine[Deferred[Any], Any, Any] = said
        said = await Deferred.fromCoroutine(coroutine)
    elif isinstance(said, Deferred):
        said = await said
    match said:
        case (str() | None as username, str() as password):
            return username, password
    raise RedisError("credentials: expected a user, or None, and a password")


def check_provider(_instance: object, _attribute: object, value: Any) -> None:
    """
    Accept C{None}, what can be called, and C{"module:name"}.

    @raise ValueError: it is something else.
    """
    if value is None or callable(value):
        return
    module, colon, name = value.partition(":") if isinstance(value, str) else [""] * 3
    if not (colon and name.isidentifier() and module.replace(".", "_").isidentifier()):
        raise ValueError('expected "module:name"')
