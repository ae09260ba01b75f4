# -*- test-case-name: tests.sockets.test_handler -*-
"""
Finding a handler, making it, and calling its hooks.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from sockhost.interfaces import IUnitHost, SockhostError
from sockhost.sockets.answers import invoke

_log = Logger()


def load_object(spec: str, directory: str | None = None) -> Callable[..., Any]:
    """
    Import what a configuration calls C{"module:Class"}.

    @param directory: is put in front of the module search path, once.
    @raise SockhostError: it cannot be imported, or is nothing that can be
        called; the traceback of the module has been logged.
    """
    module_name, colon, path = spec.partition(":")
    if not (module_name and colon and path):
        raise SockhostError(f'{spec!r} is not of the form "module:Class"')
    if directory is not None and directory not in sys.path:
        sys.path.insert(0, directory)
    module = _import(spec, module_name)
    try:
        found = reduce(getattr, path.split("."), module)
    except AttributeError as error:
        raise SockhostError(f"cannot load {spec}: {error}") from error
    if not callable(found):
        raise SockhostError(f"{spec} is not a class: it cannot be called")
    return found  # type: ignore[no-any-return]


def load_handler(spec: str, directory: str | None = None) -> Callable[..., Any]:
    """
    Import the class of a handler, or a function that makes handlers.

    @raise SockhostError: as L{load_object}, and if it is a class without
        C{received} and C{received_batch}.
    """
    found = load_object(spec, directory)
    if isinstance(found, type):
        _check_handler(spec, found)
    return found


def make_handler(spec: str, host: IUnitHost, options: Mapping[str, Any]) -> Any:
    """
    Load a handler and make one.

    @return: an L{ISocketHandler<sockhost.interfaces.ISocketHandler>}, of which
        at least C{received} is there.
    @raise SockhostError: it cannot be loaded or made.
    """
    made = load_handler(spec, host.config_dir)
    try:
        handler = made(host, **options)
    except (Exception, SystemExit) as error:
        _log.failure("making handler {spec} failed", spec=spec)
        raise SockhostError(f"cannot make handler {spec}: {_told(error)}") from error
    _check_handler(spec, handler)
    return handler


def run_hook(handler: object, name: str, *args: object) -> Deferred[Any]:
    """
    Call a hook of a handler, if it has it.

    @param name: a method of L{ILifecycle<sockhost.interfaces.ILifecycle>}.
    @return: fires with what the hook returned, at once with C{None} if there
        is no such hook; fails as the hook fails.  Cancelling cancels it.
    """
    hook = getattr(handler, name, None)
    return succeed(None) if hook is None else invoke(hook, *args)


def _check_handler(spec: str, handler: object) -> None:
    names = ("received", "received_batch")
    if not any(callable(getattr(handler, name, None)) for name in names):
        raise SockhostError(f"handler {spec} has no method received(client, frame)")


def _import(spec: str, module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        _log.failure("importing {spec} failed", spec=spec)
        raise SockhostError(f"cannot load {spec}: {_told(error)}") from error


def _told(error: BaseException) -> str:
    said = f"{type(error).__name__}: {error}"
    # Neither we nor the machinery of imports are where the mistake is.
    theirs = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen")
        and frame.filename not in (__file__, importlib.__file__)
    ]
    if not theirs or isinstance(error, SyntaxError):
        return said
    return f"{said} ({theirs[-1].filename}, line {theirs[-1].lineno})"
