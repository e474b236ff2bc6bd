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

To change the provider, set `OAUTH_SERVER_URL` to the issuer, exactly as in its tokens. The provider's guide lists
other required settings; copy the lines of *Here* to `.env`, then run `docker compose up --no-deps mcp-server`. For
introspection add the secret, and `OAUTH_CLIENT_SECRET_FILE=` (empty) so that compose does not mount its own.

Written by `python -m scripts.docs.providers_table` from `mcp_idp/providers/`. Every test run checks each row with a
fake provider that signs tokens (`tests/provider_compat/`), with only the settings of the guide; Keycloak and nanoidp
are also tested for real. A guide is marked *ran* if its provider was run with this server, and *read* if it is based
on public documents only.
"""
_TOKENS = """
## Access tokens

*Identified by*: what distinguishes an access token from ID and refresh tokens of the same provider. *Scopes from*:
with *roles*, a scope in a token says what a client requested, not what the user may do; so roles or groups grant the
scopes, as defined by `scopes:` and `groups:` in `access.yaml`, and scopes in the token only narrow them.
`scopes_from:` in an entry under `issuers:` changes this for that issuer.

"""
_LOGINS = """
## Support for MCP clients

*Register*: whether clients can register themselves (RFC 7591). If not, an administrator registers a client, and users
enter its id into their program. *CIMD*: whether a client's id may be the URL of its metadata document.

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
        return "not supported"
    return "JWT, or opaque" if profile.opaque else "JWT"


def _identified_by(profile: ProviderProfile) -> str:
    """Returns what identifies an access token: "a; b" means both, "a or b" either, "no a, b" neither."""
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
    """Returns the whole document."""
    profiles = PROFILES.values()
    tokens = (
        "provider",
        "chosen by",
        "access tokens",
        "identified by",
        "audience",
        "client",
        "user token if",
        "scopes from",
    )
    logins = ("provider", "register", "CIMD", "what adds this server to `aud`", "common pitfall")
    rows = [
        (f"[{p.title}]({p.name}.md)", p.logins.registration, p.logins.documents, p.logins.resource, p.logins.pitfall)
        for p in profiles
    ]
    return _HEAD + _TOKENS + _lines(tokens, map(_tokens, profiles)) + _LOGINS + _lines(logins, rows)


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
