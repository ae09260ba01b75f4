# -*- test-case-name: tests.redis.test_unit -*-
"""
What a Redis client can be told: the keys of its table.
"""

from __future__ import annotations

import codecs
import os
from typing import Any, Literal

from attrs import Attribute, field, frozen, validators

from sockhost.interfaces import RedisError
from sockhost.redis.credentials import check_provider
from sockhost.redis.url import RedisURL, parse_url
from sockhost.redis.values import USUAL_LIMITS, Limits


def _check_url(_instance: object, _attribute: Attribute[str], value: str) -> None:
    parse_url(value)


def _check_codec(_instance: object, _attribute: Attribute[str], value: str) -> None:
    try:
        codecs.lookup(value)
    except LookupError as error:
        raise ValueError(str(error)) from None


def _seconds(default: float) -> float:
    seconds: float = field(default=default, validator=validators.ge(0))
    return seconds


@frozen(kw_only=True)
class RedisConfig:
    """
    Which server, and how patiently.

    @ivar url: C{redis://[user:password@]host[:port][/db]},
        C{unix://path[?db=n]}, C{rediss://…} for TLS,
        C{redis+sentinel://host,host/service} or C{redis+cluster://host,host}.
    @ivar username: instead of the one in the URL.
    @ivar password: instead of the one in the URL.
    @ivar password_env: the environment variable that holds the password.
    @ivar credentials: C{"module:function"}; it is called for each new connection
        and returns user and password, instead of those above.
    @ivar client_name: what C{CLIENT LIST} shows; empty for the unit's name.
    @ivar timeout: seconds after which a command without a reply fails, unless it
        is one that blocks; 0 for no limit.
    @ivar wait: seconds that a command waits for a connection.
    @ivar max_queued: how many commands may be sent and unanswered, and how many
        may wait to be sent.  What is sent in one piece, a pipeline or a
        transaction, is taken while there is room for one, and counts for all
        that it has.
    @ivar when_full: what becomes of commands when C{max_queued} are unanswered:
        C{"fail"} at once, or C{"wait"} for room, for as long as C{wait} says;
        of those that wait there may be as many again.
    @ivar decode: the encoding of replies as text; without, they are bytes.
    @ivar ping_interval: seconds between the pings that find out that the
        server is gone without a word; 0 for none.  A command that blocks the
        connection for more than twice as long ends it.
    @ivar connect_timeout: seconds that an attempt to connect may take, with
        everything until the first command can be sent.
    @ivar grace: seconds that a stop waits for outstanding replies.
    @ivar max_dedicated: how many connections there may be at a time for what
        must have one to itself: commands that block, transactions, C{MONITOR}.
    @ivar keepalive: seconds of silence after which TCP asks whether the other
        machine is there; 0 for never.
    @ivar user_timeout: seconds that what TCP has sent may stay unacknowledged;
        0 for what the system says.
    @ivar source_address: from which to connect by TCP.
    @ivar max_depth: how deep replies may be nested.
    @ivar max_elements: how many elements an array of a reply may have.
    @ivar max_bulk: how many bytes a string of a reply may have.
    """

    url: str = field(validator=_check_url)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_env: str | None = None
    credentials: Any = field(default=None, validator=check_provider, repr=False)
    client_name: str = ""
    timeout: float = _seconds(0.0)
    wait: float = _seconds(1.0)
    max_queued: int = field(default=100_000, validator=validators.ge(1))
    when_full: Literal["fail", "wait"] = "fail"
    decode: str | None = field(
        default=None, validator=validators.optional(_check_codec)
    )
    ping_interval: float = _seconds(15.0)
    connect_timeout: float = field(default=5.0, validator=validators.gt(0))
    grace: float = _seconds(5.0)
    max_dedicated: int = field(default=64, validator=validators.ge(1))
    keepalive: float = _seconds(15.0)
    user_timeout: float = _seconds(0.0)
    source_address: str | None = None
    max_depth: int = field(default=USUAL_LIMITS.depth, validator=validators.ge(1))
    max_elements: int = field(default=USUAL_LIMITS.elements, validator=validators.ge(1))
    max_bulk: int = field(default=USUAL_LIMITS.bulk, validator=validators.ge(1))

    @property
    def limits(self) -> Limits:
        """What is taken from the server."""
        return Limits(
            depth=self.max_depth, elements=self.max_elements, bulk=self.max_bulk
        )


def find_password(config: RedisConfig, url: RedisURL) -> str | None:
    """
    Say which password to use.

    @raise RedisError: it is to come from an environment variable that is not
        set.
    """
    if config.password_env is None:
        return config.password if config.password is not None else url.password
    password = os.environ.get(config.password_env)
    if password is None:
        raise RedisError(
            f"password_env: the environment has no variable {config.password_env!r}"
        )
    return password
