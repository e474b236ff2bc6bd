"""Writes the tables of docs/doctor.md: `python -m scripts.docs.doctor_table`. The text above them is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_idp.cli.doctor.all_checks import CHECKS
from mcp_idp.cli.doctor.client_profiles import CLIENT_PROFILES
from mcp_idp.cli.doctor.client_requests import Scopes
from mcp_idp.cli.doctor.findings import link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_idp.cli.doctor.client_requests import ClientProfile
    from mcp_idp.cli.doctor.findings import Rule

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
START = "<!-- From here on written by `python -m scripts.docs.doctor_table`. -->\n"


_SCOPES = {Scopes.LISTED: "every scope that the provider lists", Scopes.NONE: "no scope"}


def tables() -> str:
    """Returns the checks in order, each with its possible findings, and the clients of `--as`."""
    return "\n".join([*_lines(), *_clients()]) + "\n"


def whole_page(page: str) -> str:
    """Returns `page` with current tables."""
    return page.partition(START)[0] + START + "\n" + tables()


def _lines() -> Iterator[str]:
    for number, check in enumerate(CHECKS, 1):
        waits = f" Waits for: {', '.join(check.depends_on)}." if check.depends_on else ""
        yield f"### {number}. {check.name}"
        yield ""
        yield f"{check.question}{waits}"
        yield ""
        yield "| finding | severity | what it is | why it matters | reported in |"
        yield "|---|---|---|---|---|"
        for kind in check.kinds:
            yield _row(kind)
        yield ""


def _clients() -> Iterator[str]:
    yield "## The clients of `--as`"
    yield ""
    yield "*ran*: the program was driven against this server and its requests were recorded. *read*: from public source"
    yield "and reports. Everything else about a client follows the specification, such as the scopes of the challenge"
    yield "in its registration and its authorization request."
    yield ""
    yield "| name | client | facts | what is special about its requests |"
    yield "|---|---|---|---|"
    for profile in CLIENT_PROFILES:
        yield f"| `{profile.key}` | {profile.label} | {profile.basis} | {'; '.join(_deviations(profile))} |"


def _deviations(profile: ClientProfile) -> list[str]:
    special = [uri for uri in profile.redirect_uris if not uri.startswith("http://")]
    methods = [name for name in (profile.auth_method, profile.auth_method_without_none) if name]
    parts = (
        (profile.hosted, "runs on its vendor's machines"),
        (profile.from_browser, "sends an Origin header"),
        (profile.registers_scopes in _SCOPES, f"registers {_SCOPES.get(profile.registers_scopes)}"),
        (profile.requests_scopes in _SCOPES, f"requests {_SCOPES.get(profile.requests_scopes)}"),
        (profile.adds_offline_access, "adds `offline_access` where the provider lists it"),
        (special, f"registers {_code(special)}"),
        (profile.login_redirects, f"logs in with {_code(profile.login_redirects)}"),
        (not methods, "registers no `token_endpoint_auth_method`"),
        (methods not in ([], ["none"]), f"authenticates with {' or '.join(f'`{name}`' for name in methods)}"),
        (profile.members, f"registers {_code(profile.members)}"),
        (profile.optional_grants, "registers the device grant where the provider lists it"),
        (profile.reads_metadata_at_origin, "looks for the provider's metadata at the issuer's origin only"),
        (profile.requires_iss, "requires `iss` in the authorization response (RFC 9207)"),
        (not profile.sends_protocol_version, "sends no `MCP-Protocol-Version` in a session"),
        (profile.is_stateless, "begins with `server/discover` (MCP 2026-07-28)"),
    )
    return [text for applies, text in parts if applies]


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row(kind: Rule) -> str:
    source = f" ({kind.source})" if kind.source else ""
    reports = ", ".join(f"[{complaint}]({link(complaint)})" for complaint in kind.reports)
    return f"| `{kind.name}` | {kind.severity.value} | {kind.title} | {kind.why}{source} | {reports} |"


if __name__ == "__main__":
    PAGE.write_text(whole_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
