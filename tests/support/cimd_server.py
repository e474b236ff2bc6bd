"""Client metadata documents, served over TLS to a Keycloak in a container, with a test CA."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True)
class Documents:
    """The served documents.

    Attributes:
        by_path: the documents by "host/path".
        requests: the "host/path" of each request.
    """

    port: int
    by_path: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def publish(self, host: str, path: str, **members: Any) -> str:
        """Publishes a client's document and returns its URL, which is the client id."""
        url = f"https://{host}:{self.port}{path}"
        self.by_path[path] = {
            "client_id": url,
            "client_name": "A client with a document",
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            **members,
        }
        return url


def write_certificates(folder: Path, hosts: tuple[str, ...]) -> None:
    """Writes a CA certificate (`ca.pem`) and a certificate for `hosts` with its key (`server.pem`)."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    names = {who: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)]) for who in ("authority", "server")}

    def builder(subject: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(names[subject])
            .issuer_name(names["authority"])
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    is_authority = x509.BasicConstraints(ca=True, path_length=None)
    ca = builder("authority", authority.public_key()).add_extension(is_authority, critical=True)
    alternatives = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    server = builder("server", key.public_key()).add_extension(alternatives, critical=False)
    (folder / "ca.pem").write_bytes(ca.sign(authority, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "server.pem").write_bytes(
        server.sign(authority, hashes.SHA256()).public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (folder / "ca.pem").chmod(0o644)
    folder.chmod(0o755)


@contextmanager
def serving_documents(folder: Path) -> Iterator[Documents]:
    """Serves documents over TLS with the certificate in `folder`, reachable from containers."""

    class DocumentHandler(Handler):
        def respond(self) -> None:
            documents.requests.append(f"{self.headers['Host']}{self.path}")
            document = documents.by_path.get(self.path)
            self.send(200 if document else 404, json.dumps(document).encode(), content_type="application/json")

    # All addresses, because the one that containers reach depends on the engine. It serves only public test documents.
    with listening(DocumentHandler, address="0.0.0.0", certificate=folder / "server.pem") as port:  # noqa: S104 - see above
        documents = Documents(port)
        yield documents
