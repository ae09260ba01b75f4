"""
The contracts of what units are made of: sockets and their handlers, processes,
the Redis client.  Import them from L{sockhost.interfaces}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProcessProtocol

    from sockhost._errors import Disconnected


class ICodec(Interface):
    """
    Bytes in, messages out, and back.  A codec does no I/O and holds the state
    of one stream.
    """

    error = Attribute(
        """
        C{None}, or the L{FrameError} that ended the stream.  Once set, it stays
        set, and L{feed} returns nothing any more.
        """
    )
    buffered = Attribute("How many bytes of an incomplete message are held (C{int}).")

    def feed(data: bytes) -> Sequence[bytes]:
        """
        Take bytes from the stream, cut at any place.

        @return: the payloads of the messages that are complete now, in order.
            Messages in front of bad bytes are returned, and L{error} is set.
            Messages behind them are not.
        """

    def encode(payload: bytes) -> bytes:
        """
        Make the bytes that carry one message.

        @raise FrameError: the payload cannot be carried, being too large.
        """


class ICodecKind(Interface):
    """
    Makes the codecs that C{framing = "NAME"} asks for.  Kinds are found as
    L{twisted.plugin.IPlugin} providers, so an installed package adds its own
    by a module in C{twisted/plugins/}.
    """

    name = Attribute("What C{framing =} says in the configuration (a C{str}).")

    def make(max_frame: int) -> ICodec:
        """
        Make the codec of one connection.

        @param max_frame: the greatest length of a message in bytes, with all
            that the codec puts around it.  What is longer is to be refused as
            soon as that is known, and no memory is to be taken in advance.
        """


class IClient(Interface):
    """One connected client of a framed socket, as its handler sees it."""

    id = Attribute("A number that no other client of this process has had.")
    pid = Attribute("The client's process id as the kernel tells it, or C{None}.")
    uid = Attribute("The client's effective user id when it connected, or C{None}.")
    gid = Attribute("The client's effective group id when it connected, or C{None}.")
    groups = Attribute(
        """
        The client's supplementary groups when it connected, as a C{tuple} of
        numbers; empty if the kernel does not tell, and once it is gone.
        """
    )
    pidfd = Attribute(
        """
        A file descriptor of the client's process, opened when it is first
        asked for and closed when C{disconnected} has ended (C{os.dup} what is
        to live longer).  C{None} if that process has ended, or is not visible
        from here.
        """
    )
    connected_at = Attribute("When it was accepted: seconds since the epoch.")
    connected = Attribute("C{False} once the client is gone or was dropped.")
    data = Attribute("Free for the handler: whatever it keeps for this client.")
    frames_in = Attribute("How many frames of it the handler was given.")
    frames_out = Attribute("How many frames were queued to it.")
    bytes_in = Attribute("How many bytes were read from it.")
    bytes_out = Attribute("How many bytes were queued to it.")
    in_flight = Attribute("How many of its requests are not answered now.")
    queued = Attribute("How many bytes it has not taken yet.")
    transport = Attribute(
        """
        The L{ITransport<twisted.internet.interfaces.ITransport>} that carries
        its bytes, with C{transport = "protocol"} and on endpoints; else
        C{None}.  Writing to it, or closing it, is the session's business.
        """
    )

    def send(payload: bytes) -> Deferred[None]:
        """
        Send one frame, at any time while the client is connected.

        @return: fires when the whole frame was handed to the kernel.  Fails
            with L{Disconnected} if the client goes first, and with
            L{FrameError} if the payload is too large.
        @raise TypeError: the payload is not C{bytes}.
        """

    sender = Attribute(
        """
        Who wrote the bytes that were read last, a L{PeerCredentials
        <sockhost.sockets.credentials.PeerCredentials>}: with
        C{pass_credentials}, else C{None}.
        """
    )

    def take_fds() -> list[int]:
        """
        Get the descriptors that the client has passed and that nobody has
        taken yet, in their order.  Those of a frame are there when the frame
        is received, maybe with those of the next.  They are the caller's to
        close; what is never taken is closed when the client is gone.
        """

    def send_fds(payload: bytes, descriptors: Sequence[int]) -> Deferred[None]:
        """
        Send one frame and pass descriptors with it.  They are duplicated, so
        the caller's may be closed at once.

        @return: as for L{send}.  Fails with L{SockhostError} if the socket
            does not pass any (C{pass_fds}), and with C{OSError} or
            C{ValueError} if one is none or they are too many for the system;
            then nothing was sent.
        """

    def drop(reason: str) -> None:
        """
        End the connection once what was queued before is sent, for which it
        has 30 seconds.  The handler's C{disconnected} gets the reason.
        """


class ISocketHandler(Interface):
    """
    What a plugin author writes.  A handler is made once for each process that
    serves the socket, by calling the class that C{handler = "module:Class"}
    names with the L{IUnitHost} and the keys of C{options} as keyword arguments.
    It may have any of the hooks of L{ILifecycle} too.

    Each method may return a plain value, a Deferred or be C{async}.
    """

    def connected(client: IClient) -> object:
        """
        A client was accepted.  No frame of it is read before this has ended.

        @return: C{False}, now or later, turns the client away without a reason.
        @raise Refused: turn the client away.  Any other exception does the
            same and is logged.
        """

    def received(client: IClient, frame: bytes) -> object:
        """
        A frame arrived.  Frames of one client are handed over without waiting
        for earlier answers, so later answers of one client may overtake.

        @param frame: the payload, without the length in front of it.
        @return: C{bytes} to answer with one frame now, a Deferred or a
            coroutine of C{bytes} to answer when it fires, C{None} for no
            answer.  An exception or failure is logged and drops this client,
            after the earlier answers were sent.
        """

    def disconnected(client: IClient, reason: Disconnected) -> object:
        """
        A client is gone.  Called exactly once for every client whose
        C{connected} ended without refusing it.  Its unanswered requests were
        cancelled before.  When the socket is closed, it has 5 seconds.
        """


class IBatchHandler(ISocketHandler):
    """
    A handler that takes the frames which arrived together at once.  This costs
    one call for all of them.  Its C{received} is not called, and may be
    missing.
    """

    def received_batch(client: IClient, frames: Sequence[bytes]) -> object:
        """
        Frames arrived.

        @param frames: at least one payload, and no more than may be in flight.
        @return: a list with one answer for each frame, in their order, each of
            them what C{received} may return; or C{None} to answer none of
            them; or a Deferred or a coroutine of either.  An exception, a
            failure, or a list of another length drops the client, as with
            C{received}; none of these frames is answered then.
        """


class ISpawner(Interface):
    """Starts processes.  The only way in which sockhost makes any."""

    def spawn(spec: Any, protocol: IProcessProtocol) -> IChild:
        """
        Execute a program.

        @param spec: a L{ChildSpec<sockhost.processes.spec.ChildSpec>}.
        @param protocol: is told of output and of the end, in Twisted's order:
            C{makeConnection} before this returns, C{processExited} when the
            process was reaped, C{processEnded} when its output is complete
            besides (or has been given up on).
        @raise SpawnError: it cannot be executed; nothing is left.
        """


class IChild(Interface):
    """
    One spawned process, the leader of its own session and process group.
    Also provides L{IProcessTransport<twisted.internet.interfaces.IProcessTransport>}.
    """

    pid = Attribute("The process id, or C{None} once it was reaped.")

    def signal_group(signum: int) -> bool:
        """
        Send a signal to every process of the child's group, also when the
        child itself is gone but others of its group are not.

        @return: C{False} if no process of the group is left.
        """


class IRedis(Interface):
    """
    A Redis client: many commands may be outstanding on its one connection, and
    every reply goes to the command that it answers.
    """

    connected = Attribute("C{True} while there is a usable connection.")

    def execute(*args: bytes | str | int | float) -> Deferred[Any]:
        """
        Send one command.

        @return: fires with the reply, with bytes exactly as the server sent
            them.  Fails with L{RedisReplyError} if the server says so, with
            L{RedisConnectionError} if the command was not sent (with
            L{RedisQueueFull} because too many are unanswered), with
            L{MaybeExecuted} if its reply was lost, with L{RedisError} if the
            command is not possible on a connection that others share, and with
            C{TypeError} for an argument that cannot be sent.  Cancelling a command that
            was not sent withdraws it; cancelling a sent one discards its reply
            when that comes, and the command is executed all the same.  A
            command that blocks holds no other up; cancelling it ends its
            waiting on the server too.
        """

    def when_connected() -> Deferred[None]:
        """
        Fires when there is a connection, at once if there is one.  Fails with
        L{RedisConnectionError} when the client is closed.
        """

    def close(timeout: float = 5.0) -> Deferred[None]:
        """
        Refuse new commands, wait for the replies of those that were sent, and
        close.

        @param timeout: seconds after which outstanding commands fail with
            L{MaybeExecuted} instead of being waited for.
        @return: fires when the connection is gone and every Deferred of every
            command has fired.
        """
