"""Valid requests that resemble the attacks of each family, so that no row is rejected for an unrelated reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_idp.testing.corpus.issuers import TRUSTED
from mcp_idp.testing.corpus.keys import NEXT_TO_UNKNOWN_KINDS
from mcp_idp.testing.corpus.model import HOST, PLAIN, WHOAMI, Stage, call, in_session
from mcp_idp.testing.corpus.token_forge import HEADER, claiming, ec_key, ed_key, forge, headed
from mcp_idp.testing.corpus.tokens_algorithm import MANY_KEYS
from mcp_idp.testing.corpus.tokens_issuer_and_audience import NO_AUD
from mcp_idp.testing.issuer import NOW, RESOURCE, Issuer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.testing.corpus.model import Sent


@dataclass(frozen=True, slots=True)
class Control:
    """A valid request: its name, what is sent, and the stage that it is sent to."""

    name: str
    send: Callable[[Any], Sent]
    stage: Stage = PLAIN


CONTROLS = (
    Control("a scheme in another case", lambda i: call(None, (b"authorization", b"bEaReR " + i.token().encode()))),
    Control(
        "a second space after the scheme", lambda i: call(None, (b"authorization", b"Bearer  " + i.token().encode()))
    ),
    Control("the type that RFC 9068 names", lambda i: headed(i, typ="application/at+jwt")),
    Control(
        "header members that say nothing here", lambda i: headed(i, jku="http://attacker.example/", cty="x", x=[1])
    ),
    Control(
        "ES256 by its key",
        lambda i: forge({**HEADER, "alg": "ES256", "kid": "ec"}, i.claims(), key=ec_key(), alg="ES256"),
        MANY_KEYS,
    ),
    Control(
        "EdDSA by its key",
        lambda i: forge({**HEADER, "alg": "EdDSA", "kid": "ed"}, i.claims(), key=ed_key(), alg="EdDSA"),
        MANY_KEYS,
    ),
    Control("one of several audiences", lambda i: claiming(i, aud=["account", RESOURCE])),
    Control("our audience twice, and a client id", lambda i: claiming(i, aud=[RESOURCE, RESOURCE, "mcp-native"])),
    Control("no audience, of a listed client", lambda i: claiming(i, aud=..., azp="cli"), NO_AUD),
    Control("an end within the leeway", lambda i: claiming(i, exp=NOW - 29)),
    Control("a long token, of a user with many groups", lambda i: claiming(i, groups=["x" * 50] * 185)),
    Control("an agent that acts for the user", lambda i: claiming(i, act={"sub": "agent-1"})),
    Control("a chain of actors", lambda i: claiming(i, act={"sub": "b", "x": [1], "act": {"sub": "a"}})),
    Control("an actor that is null", lambda i: claiming(i, act=None)),
    Control("a broader scope", lambda i: claiming(i, scope="mcp:admin")),
    Control("no sub, as with some providers", lambda i: claiming(i, sub=...)),
    Control("a claim that holds anything", lambda i: claiming(i, x={"a": [1, None, {"b": "\u00e9"}]})),
    *(Control(f"a key beside {name} under one kid", Issuer.token, at) for name, at in NEXT_TO_UNKNOWN_KINDS.items()),
    Control("the first of two issuers", Issuer.token, TRUSTED),
    Control("the page of a browser on this machine", lambda i: call(i.token(), (b"origin", b"http://localhost:6274"))),
    Control("the public name in capitals", lambda i: call(i.token(), hosts=(HOST.upper(),))),
    Control("one's own session", lambda i: in_session(i.token(), i.token(iat=NOW - 1))),
    Control("white space around a call", lambda i: call(i.token(), body=b"\r\n " + WHOAMI + b"\n")),
    Control("a second token in the query", lambda i: call(i.token(), query=b"access_token=x")),
)
