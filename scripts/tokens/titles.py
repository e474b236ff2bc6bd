"""What each rule asks of a token, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_server.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

TITLES: Mapping[Reason, str] = {
    Reason.TOO_LONG: "is no longer than MAX_TOKEN_BYTES",
    Reason.ENCRYPTED: "is not encrypted",
    Reason.NOT_A_JWT: "is a signed JWT",
    Reason.HEADER_MALFORMED: "has a header with one meaning",
    Reason.ALGORITHM: "is signed with a public-key algorithm",
    Reason.CRITICAL_EXTENSION: "asks for no extension",
    Reason.HEADER_TYPE: "says in its header that it is an access token (typ)",
    Reason.KEY_MISMATCH: "names a key together with that key's algorithm (alg)",
    Reason.KEY_UNKNOWN: "names a key of the issuer (kid)",
    Reason.SIGNATURE: "is signed by that key",
    Reason.CLAIMS_MALFORMED: "has claims of the right kinds",
    Reason.ISSUER: "is of our issuer (iss)",
    Reason.AUDIENCE: "is for this server (aud)",
    Reason.EXPIRED: "has not run out (exp)",
    Reason.NOT_YET_VALID: "is valid already (nbf)",
    Reason.ISSUED_IN_FUTURE: "was issued in the past (iat)",
    Reason.LIFETIME: "lives no longer than MAX_TOKEN_LIFETIME (iat, exp)",
    Reason.SENDER_BOUND: "is not bound to its sender (cnf)",
    Reason.TOKEN_TYPE: "is no ID, refresh or logout token",
    Reason.NO_USER: "belongs to a logged-in person, or to a machine client of access.yaml",
    Reason.OPAQUE: "consists of characters that a bearer token may have",
    Reason.INACTIVE: "is active, says the provider",
}
