"""Registers a client for a trial, and deletes the registration at the end (RFC 7591, RFC 7592)."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2

from mcp_idp.cli.common.client_deregistration import ClientRegistration, deregistration_url
from mcp_idp.cli.common.console import printable
from mcp_idp.cli.common.safe_http import HttpFailure
from mcp_idp.cli.doctor.context import INSPECTOR, text
from mcp_idp.cli.doctor.findings import Finding, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.client_requests import ClientProfile
    from mcp_idp.cli.doctor.context import CheckContext

NOT_CLEANED_UP = Rule(
    name="registration_not_removed",
    severity=Severity.INFO,
    title="a test registration could not be removed",
    why="unused registrations accumulate",
    source="RFC 7592 section 2.3",
    reports=("agentic-community/mcp-gateway-registry#1119",),
)
_CREATED = (200, 201)
_ERROR = 400
_MAX_MESSAGE = 300
_MAX_ID = 200
# The request may have arrived although no response did.
_RESPONSE_LOST = (HttpFailure.TOO_SLOW, HttpFailure.BROKEN)


@dataclass(slots=True)
class TrialRegistration:
    """A registration for a trial.

    Attributes:
        reply: The provider's response.
        remaining: After the trial: that the registration remains at the provider, if it does.
    """

    reply: HttpResult
    remaining: list[Finding] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether the provider registered the client."""
        return self.reply.status in _CREATED

    @property
    def client_id(self) -> str:
        """The client id, or ""."""
        return text(self.reply.document, "client_id")

    @property
    def rejection(self) -> str:
        """Why the client got no client id, as text. Its message is truncated; the caller escapes it."""
        if self.reply.fault is not None:
            return str(self.reply)
        document = self.reply.document
        if self.succeeded:
            return f"{self.reply.status} without a client_id"
        message = text(document, "error_description") or text(document, "error")
        return f"{self.reply.status} {message[:_MAX_MESSAGE]}".strip()


@asynccontextmanager
async def trial_registration(
    case: CheckContext, profile: ClientProfile, client_name: str
) -> AsyncIterator[TrialRegistration]:
    """Registers the client of a profile, and deletes the registration when the block ends, also if it is interrupted.

    An interruption while the provider responds waits for the response, without which nothing could be deleted.

    Args:
        case: The server under test, with the provider's metadata.
        profile: The client.
        client_name: The name to register.
    """
    sending = asyncio.ensure_future(_register(case, profile, client_name))
    try:
        trial = TrialRegistration(await asyncio.shield(sending))
    except asyncio.CancelledError:
        _print(await _deregister(case, profile, client_name, TrialRegistration(await sending)))
        raise
    try:
        yield trial
    except BaseException:
        _print(await _deregister(case, profile, client_name, trial))
        raise
    trial.remaining = await _deregister(case, profile, client_name, trial)


async def _register(case: CheckContext, profile: ClientProfile, client_name: str) -> HttpResult:
    endpoint = text(case.provider, "registration_endpoint")
    headers = {"origin": INSPECTOR} if profile.from_browser else {}
    if token := case.initial_access_tokens.get(case.issuer):
        headers["authorization"] = f"Bearer {token}"
    document = {**profile.registration(case.scopes, case.provider), "client_name": client_name}
    return await case.http.send("POST", endpoint, headers=headers, json=document)


async def _deregister(
    case: CheckContext, profile: ClientProfile, client_name: str, trial: TrialRegistration
) -> list[Finding]:
    """Deletes the registration; returns a finding if it remains, or may remain, at the provider."""
    reply = trial.reply
    if reply.fault in _RESPONSE_LOST:
        observed = f"{profile.name}: the provider may have registered a client '{client_name}': {reply}"
        return [NOT_CLEANED_UP.finding(observed, "if it is there, remove it at the provider")]
    if not trial.succeeded:
        return []
    registration = ClientRegistration.read(reply.url, reply.document)
    name = f"{profile.name}, client {str(reply.document.get('client_id'))[:_MAX_ID]}"
    try:
        uri = deregistration_url(registration)
    except (ValueError, httpx2.InvalidURL) as error:
        return [NOT_CLEANED_UP.finding(f"{name}: {error}", "remove it at the provider")]
    gone = await case.http.send("DELETE", uri, headers={"authorization": f"Bearer {registration.token}"})
    if gone.fault is not None or gone.status >= _ERROR:
        return [NOT_CLEANED_UP.finding(f"{name}: {gone}", "remove it at the provider")]
    return []


def _print(remaining: list[Finding]) -> None:
    """Prints what remains at the provider after an interruption, which ends the run without a report."""
    for finding in remaining:
        print(f"doctor: {finding.kind.title}: {printable(finding.observed)}", file=sys.stderr)
