"""
Certificates for functional tests, made when they are needed, and a front that
speaks TLS before a server that does not.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
)
from twisted.protocols.portforward import (
    ProxyClient,
    ProxyClientFactory,
    ProxyFactory,
    ProxyServer,
)


@define
class Authority:
    """
    Vouches for certificates, which it writes into a directory.

    @ivar path: the file with its own.
    @ivar _behind: what is written behind the certificates that it issues.
    """

    directory: Path
    _key: Any
    _certificate: x509.Certificate
    _behind: bytes = b""

    @classmethod
    def made(cls, directory: Path) -> Authority:
        """Make one."""
        directory.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("authority")
        authority = cls(directory, key, _vouch(name, key, name, key))
        authority.path.write_bytes(_pem(authority._certificate))
        return authority

    def deputy(self) -> Authority:
        """Make one that this one vouches for, as its certificates show."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name("deputy")
        certificate = _vouch(subject, key, self._certificate.subject, self._key)
        return Authority(self.directory, key, certificate, _pem(certificate))

    @property
    def path(self) -> Path:
        """The file with its own certificate."""
        return self.directory / "ca.pem"

    def issue(self, *names: str) -> Path:
        """
        Vouch for a certificate.

        @param names: for which it is: DNS names and IP addresses.
        @return: the file with it and its key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(names[0]), self._certificate.subject, key)
            .add_extension(
                x509.SubjectAlternativeName([_general(each) for each in names]), False
            )
            .sign(self._key, hashes.SHA256())
        )
        path = self.directory / f"{names[0].replace(':', '_')}.pem"
        path.write_bytes(
            _pem(certificate)
            + self._behind
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return path


def listen_tls(
    case: Any,
    reactor: Any,
    target: int,
    own: Path,
    clients: Path | None = None,
    change: Callable[[bytes], bytes] = bytes,
) -> int:
    """
    Take TLS connections for the test's time, and hand on what they carry.

    @param target: the TCP port on the loopback interface that it goes to.
    @param own: the certificate to show.
    @param clients: vouches for clients, who need a certificate then.
    @param change: is given what the server says, and returns what is handed on.
    @return: the port.
    """
    trusted = [] if clients is None else [Certificate.loadPEM(clients.read_bytes())]
    options = PrivateCertificate.loadPEM(own.read_bytes()).options(*trusted)
    factory = ProxyFactory("127.0.0.1", target)
    factory.protocol = partial(_Front, change)  # type: ignore[assignment]
    factory.noisy = False
    port = reactor.listenSSL(0, factory, options, interface="127.0.0.1")
    case.addCleanup(port.stopListening)
    number: int = port.getHost().port
    return number


class _Front(ProxyServer):
    """Hands on what the server says, changed."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change

    @property
    def clientProtocolFactory(self) -> Any:  # type: ignore[override]
        """Makes the other side."""
        factory = ProxyClientFactory()
        factory.protocol = partial(_Back, self._change)  # type: ignore[assignment]
        return lambda: factory


class _Back(ProxyClient):
    """Hears what the server says."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(self._change(data))


def _vouch(
    subject: x509.Name, key: Any, issuer: x509.Name, by: Any
) -> x509.Certificate:
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    unsigned = _builder(subject, issuer, key).add_extension(constraints, True)
    certificate: x509.Certificate = unsigned.sign(by, hashes.SHA256())
    return certificate


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(subject: x509.Name, issuer: x509.Name, key: Any) -> Any:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
    )
