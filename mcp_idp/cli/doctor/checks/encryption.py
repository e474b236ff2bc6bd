"""Checks that a server that is not on loopback is called over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.safe_http import is_cleartext
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, always

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import CheckContext

CLEARTEXT = Rule(
    name="cleartext",
    severity=Severity.ERROR,
    title="the server uses http and is not on this machine",
    why="attackers on the network can read the tokens",
    source="RFC 6750 section 5.3",
    reports=("keycloak/keycloak#15084",),
)


async def encrypted(case: CheckContext) -> list[Finding]:
    """Checks that a server that is not on loopback is called over TLS."""
    if not is_cleartext(case.url):
        return []
    public = f"https{case.url.removeprefix('http')}"
    return [
        CLEARTEXT.finding(
            f"{case.url} is not https",
            f"put a proxy that terminates TLS in front of it, and set MCP_PUBLIC_URL={public}; do not derive "
            "it from requests",
            settings={"MCP_PUBLIC_URL": public},
            url=public,
        )
    ]


CHECKS = (
    Check(
        name="encryption",
        question="Does the server use TLS when it is not on this machine?",
        run=encrypted,
        skip_reason=always,
        depends_on=("reach",),
        kinds=(CLEARTEXT,),
    ),
)
