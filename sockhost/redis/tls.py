# -*- test-case-name: tests.functional.test_redis_tls -*-
"""
TLS to a Redis server: whom to trust, and as whom to appear.

pyOpenSSL is needed for it, and imported only where TLS is asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from sockhost.interfaces import RedisError


@frozen(kw_only=True)
class TLS:
    """
    How to be sure of a server.

    @ivar ca: the file with the certificates (PEM) of those who are trusted to
        vouch for servers; C{None} for those that the system trusts.
    @ivar cert: the file with our own certificate (PEM), with those that vouch
        for it behind it; C{None} for none.
    @ivar key: the file with its key; C{None} if it is in C{cert}.
    @ivar name: what the server's certificate must be for, a DNS name or an IP
        address; C{None} for the host that is connected to.
    @ivar verify: C{False} for talking to anybody who answers.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    name: str | None = None
    verify: bool = True

    def wrap(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        """
        Make an endpoint that speaks TLS over another.  The files are read now.

        @raise RedisError: one of them cannot be used, or a library is missing.
        """
        try:
            return _wrap(self, endpoint, self.name or host)
        except ImportError as error:
            raise RedisError(f"TLS needs pyOpenSSL: {error}") from error
        except (OSError, ValueError) as error:
            raise RedisError(f"cannot use TLS: {error}") from error


def _wrap(
    tls: TLS, endpoint: IStreamClientEndpoint, name: str
) -> IStreamClientEndpoint:
    from twisted.internet.endpoints import wrapClientTLS
    from twisted.internet.ssl import optionsForClientTLS

    own = _own_certificate(tls)
    if not tls.verify:
        return wrapClientTLS(_unchecked(own, name), endpoint)
    trust = None if tls.ca is None else _trusted(tls.ca)
    more = {} if trust is None else {"trustRoot": trust}
    options: Any = optionsForClientTLS(name, extraCertificateOptions=own, **more)
    return wrapClientTLS(options, endpoint)


def _own_certificate(tls: TLS) -> dict[str, Any]:
    from OpenSSL.crypto import Error
    from twisted.internet.ssl import PrivateCertificate

    if tls.cert is None:
        return {}
    pieces = {tls.cert: None, tls.key or tls.cert: None}
    data = b"\n".join(Path(piece).read_bytes() for piece in pieces)
    try:
        own = PrivateCertificate.loadPEM(data)
        _, *behind = _certificates(tls.cert)
    except (Error, ValueError, TypeError) as error:
        raise ValueError(f"{tls.cert}: no certificate with its key: {error}") from None
    return {
        "privateKey": own.privateKey.original,
        "certificate": own.original,
        "extraCertChain": [each.original for each in behind],
    }


def _trusted(path: str) -> Any:
    from OpenSSL.crypto import Error
    from twisted.internet.ssl import trustRootFromCertificates

    try:
        return trustRootFromCertificates(_certificates(path))
    except (Error, ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _certificates(path: str) -> list[Any]:
    from twisted.internet.ssl import Certificate

    end = b"-----END CERTIFICATE-----"
    pieces = Path(path).read_bytes().split(end)[:-1]
    if not pieces:
        raise ValueError("no certificate in it")
    return [Certificate.loadPEM(piece + end + b"\n") for piece in pieces]


def _unchecked(own: dict[str, Any], name: str) -> Any:
    from OpenSSL.SSL import Connection
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
    from twisted.internet.ssl import CertificateOptions

    options = CertificateOptions(**own)
    options.verify = False
    context = options.getContext()

    @implementer(IOpenSSLClientConnectionCreator)
    class Unchecked:
        """Makes connections to anybody who answers."""

        def clientConnectionForTLS(self, _protocol: object) -> Connection:
            connection = Connection(context, None)
            if not name.replace(".", "").isdigit() and ":" not in name:
                connection.set_tlsext_host_name(name.encode("idna"))
            return connection

    return Unchecked()
