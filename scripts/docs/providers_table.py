"""Writes docs/providers/README.md from the profiles: `python -m scripts.docs.providers_table`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.providers import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_idp.providers import ProviderProfile

GUIDES = Path(__file__).parents[2] / "docs" / "providers"
TABLE = GUIDES / "README.md"
_HEAD = """\
# Providers

`OAUTH_SERVER_URL` is the whole migration: the issuer, byte for byte as its tokens say it. What else a provider needs
stands in its guide; put the lines of *Here* into `.env`, then `docker compose up --no-deps mcp-server`. For
introspection add the secret, and `OAUTH_CLIENT_SECRET_FILE=` (empty) so that compose does not mount its own.

Written by `python -m scripts.docs.providers_table` from `mcp_idp/providers/`. Each row is tried on every run of the
tests against an imitation that signs (`tests/provider_compat/`), set up with what the guide says and nothing else;
Keycloak and nanoidp are tried for real as well. A guide is marked *ran* if its provider was run with this server, and
*read* if it is taken from public documents only.
"""
_TOKENS = """
## What access tokens say

*Told by*: what an access token has that an ID or refresh token of the same provider has not. *Who decides*: where it is
*roles*, a scope in a token says what a client asked for, and not what the person may do; so roles or groups bring the
scopes, as `scopes:` and `groups:` in `access.yaml` say, and scopes in the token can but narrow them. For one issuer
`scopes_from:` in its entry under `issuers:` changes that.

"""
_LOGINS = """
## What MCP clients find there

*Register*: whether clients register themselves (RFC 7591). Where they cannot, an administrator registers one, and
people enter its id into their program. *CIMD*: whether a client's id may be the URL of a document about it.

"""


def _lines(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    written = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    written.insert(1, ["---"] * len(written[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in written)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _chosen(profile: ProviderProfile) -> str:
    if profile.hosts or profile.path:
        return "the issuer"
    return "default" if profile.name == "generic" else f"`OAUTH_PROVIDER={profile.name}`"


def _kinds(profile: ProviderProfile) -> str:
    if profile.unsupported_reason:
        return "cannot be judged"
    return "JWT, or opaque" if profile.opaque else "JWT"


def _identified_by(profile: ProviderProfile) -> str:
    """What makes an access token of one: "a; b" is both, "a or b" either, "no a, b" neither."""
    own_type = ["typ: at+jwt"] if profile.header_types == {"at+jwt"} else []
    kinds = {name: sorted(filter(None, accepted)) for name, accepted in profile.token_type_claims}
    must = [f"{name}: {' or '.join(values)}" for name, values in kinds.items() if values and _required(profile, name)]
    none = [name for name, values in kinds.items() if not values]
    parts = [*map("`{}`".format, own_type + must), " or ".join(map("`{}`".format, profile.access_token_only_claims))]
    parts.append(f"no {_code(none)}" if none else "")
    return "; ".join(filter(None, parts)) or "-"


def _required(profile: ProviderProfile, name: str) -> bool:
    return None not in dict(profile.token_type_claims)[name]


def _decides(profile: ProviderProfile) -> str:
    if profile.unsupported_reason:
        return "-"
    if not profile.scopes_from_roles:
        return f"scopes, {_code(profile.scope_claims)}"
    narrowed = f", narrowed by {_code(profile.scope_claims)}" if profile.scope_claims else ""
    return f"roles, `{(profile.roles_claim or '').replace('{}', '<audience>')}`{narrowed}"


def _user(profile: ProviderProfile) -> str:
    if profile.user_claim:
        return f"`{profile.user_claim}`"
    subject = (profile.service_subject_pattern or "").replace("{}", "<client>")
    return f"`sub` is not `{subject}`" if subject else "-"


def _tokens(profile: ProviderProfile) -> tuple[str, ...]:
    client = "-" if profile.unsupported_reason else _code(profile.client_claims)
    audience = "the URL, or `JWT_AUDIENCE`" if profile.audience else "none: listed clients"
    return (
        f"[{profile.title}]({profile.name}.md)",
        _chosen(profile),
        _kinds(profile),
        _identified_by(profile),
        "-" if profile.unsupported_reason else audience,
        client,
        _user(profile),
        _decides(profile),
    )


def table() -> str:
    """The whole document."""
    profiles = PROFILES.values()
    tokens = ("provider", "chosen by", "access tokens", "told by", "audience", "client", "a person, if", "who decides")
    logins = ("provider", "register", "CIMD", "what puts this server into `aud`", "what goes wrong first")
    rows = [
        (f"[{p.title}]({p.name}.md)", p.logins.registration, p.logins.documents, p.logins.resource, p.logins.pitfall)
        for p in profiles
    ]
    return _HEAD + _TOKENS + _lines(tokens, map(_tokens, profiles)) + _LOGINS + _lines(logins, rows)


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
