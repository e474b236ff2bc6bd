"""Checks that a server that is not on loopback is called over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_idp.cli.common.safe_http import is_cleartext
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity
from mcp_idp.cli.doctor.runner import Check, always

if TYPE_CHECKING:
    from mcp_idp.cli.doctor.context import CheckContext

CLEARTEXT = Rule(
    name="clear",
    severity=Severity.ERROR,
    title="the server is called over http, off this machine",
    why="tokens cross the network where anybody on the way can take them",
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
            f"put a proxy that ends TLS before it, and set MCP_PUBLIC_URL={public}: never from the request",
            settings={"MCP_PUBLIC_URL": public},
            url=public,
        )
    ]


CHECKS = (
    Check(
        name="encryption",
        question="Is the server called over TLS, off this machine?",
        run=encrypted,
        skip_reason=always,
        depends_on=("reach",),
        kinds=(CLEARTEXT,),
    ),
)
