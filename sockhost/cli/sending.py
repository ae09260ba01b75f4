# -*- test-case-name: tests.cli.test_sending -*-
"""
The command that talks to a framed socket.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sockhost._errors import Disconnected, FrameError
from sockhost.cli.exits import ExitStatus, Failed, Seconds

if TYPE_CHECKING:
    from sockhost.sockets.blocking import BlockingClient


@click.command()
@click.argument("path", metavar="PATH")
@click.argument("text", nargs=-1)
@click.option("--hex", "as_hex", is_flag=True, help="TEXT and replies are hexadecimal.")
@click.option(
    "--from-json",
    is_flag=True,
    help='Each TEXT, or line of the file, is {"text": …}, {"hex": …} or {"json": …}.',
)
@click.option("--file", type=click.File("rb"), help="Send this file (-: input).")
@click.option("--json", "as_json", is_flag=True, help="Print replies as JSON.")
@click.option(
    "--framing",
    metavar="NAME",
    default="length32",
    show_default=True,
    help="How the socket cuts messages, as in its configuration.",
)
@click.option(
    "--max-frame",
    metavar="BYTES",
    type=click.IntRange(min=4, max=2**32 - 1),
    default=16 * 1024 * 1024,
    show_default=True,
    help="The greatest frame, as in the socket's configuration.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Seconds(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="How long to wait for each reply.",
)
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(min=0),
    help="How many replies to wait for (else one for each frame sent).",
)
def send(
    path: str,
    text: tuple[str, ...],
    as_hex: bool,
    from_json: bool,
    file: BinaryIO | None,
    as_json: bool,
    framing: str,
    max_frame: int,
    timeout: float,
    count: int | None,
) -> None:
    """
    Send each TEXT as a frame to the socket at PATH, and print the replies.
    """
    if as_hex and as_json:
        raise click.UsageError("--hex and --json exclude each other")
    if as_hex and from_json:
        raise click.UsageError("--hex and --from-json exclude each other")
    frames = _frames_of_json(text, file) if from_json else _frames(text, as_hex, file)
    write = _hex_line if as_hex else _json_line if as_json else _raw_line
    connect = partial(_connect, path, timeout, framing, max_frame)
    for reply in _exchange(connect, frames, count, _refusals(path, timeout)):
        click.echo(write(reply))


def _exchange(
    connect: Callable[[], BlockingClient],
    frames: Sequence[bytes],
    count: int | None,
    refusals: AbstractContextManager[None],
) -> Iterator[bytes]:
    with refusals, closing(connect()) as client:
        for frame in frames:
            client.send(frame)
            if count is None:
                yield client.receive()
        for _ in range(count or 0):
            yield client.receive()


def _connect(path: str, timeout: float, framing: str, max_frame: int) -> BlockingClient:
    from sockhost.sockets.blocking import BlockingClient

    if framing == "length32":
        return BlockingClient(path, timeout, max_frame)
    # The other codecs take longer to import than all else together.
    from sockhost.sockets.codecs import codec_names, find_codec

    codec = find_codec(framing)
    if codec is None:
        raise click.UsageError(
            f"--framing {framing}: there are {', '.join(codec_names())}"
        )
    return BlockingClient(path, timeout, codec=codec(max_frame))


def _frames(text: Sequence[str], as_hex: bool, file: BinaryIO | None) -> list[bytes]:
    if bool(text) == (file is not None):
        raise click.UsageError("give either TEXT or --file")
    if file is not None:
        return [file.read()]
    try:
        return [bytes.fromhex(one) if as_hex else _encode(one) for one in text]
    except ValueError as error:
        raise click.UsageError(f"not hexadecimal: {error}") from None


def _frames_of_json(text: Sequence[str], file: BinaryIO | None) -> list[bytes]:
    if bool(text) == (file is not None):
        raise click.UsageError("give either TEXT or --file")
    said: Sequence[str | bytes] = text if file is None else file.read().splitlines()
    return [
        _frame_of_json(one, number)
        for number, one in enumerate(said, 1)
        if file is None or one.strip()
    ]


def _frame_of_json(said: str | bytes, number: int) -> bytes:
    try:
        ((form, value),) = json.loads(said).items()
        return _FORMS[form](value)
    except (ValueError, AttributeError, KeyError, TypeError):
        raise click.UsageError(
            f"frame {number}: {said!r:.40} is not of the form "
            '{"text": "…"}, {"hex": "…"} or {"json": …}'
        ) from None


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _encode(text: str) -> bytes:
    # Gives back the bytes of the command line, whatever they were.
    return text.encode("utf-8", "surrogateescape")


# What there is between braces, and the frame that it means.
_FORMS: Mapping[str, Callable[[Any], bytes]] = {
    "text": str.encode,
    "hex": bytes.fromhex,
    "json": _dump,
}


def _raw_line(reply: bytes) -> bytes:
    return reply


def _hex_line(reply: bytes) -> bytes:
    return reply.hex().encode()


def _json_line(reply: bytes) -> bytes:
    """One line in any case; bytes that are not text are told in hexadecimal."""
    try:
        return json.dumps({"text": reply.decode()}, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        return json.dumps({"hex": reply.hex()}).encode()


@contextmanager
def _refusals(path: str, timeout: float) -> Iterator[None]:
    """Turn every way in which no reply comes into L{Failed}."""
    try:
        yield
    except (FileNotFoundError, ConnectionRefusedError):
        raise Failed(f"nobody listens on {path}", ExitStatus.NO_HOST) from None
    except TimeoutError:
        text = f"no reply from {path} within {timeout:g} s"
        raise Failed(text, ExitStatus.TIMED_OUT) from None
    except (Disconnected, FrameError) as error:
        raise Failed(f"{path}: {error}") from None
    except OSError as error:
        raise Failed(f"{path}: {error.strerror or error}") from None
