"""Grants that need no browser on this machine: device authorization (RFC 8628) and client credentials."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp_idp.cli.common.client_deregistration import ClientRegistration
from mcp_idp.cli.common.errors import LoginError, ProviderError
from mcp_idp.cli.common.safe_http import is_http_url
from mcp_idp.cli.doctor.context import text, texts
from mcp_idp.config.client_signing_key import ClientSigningKey
from mcp_idp.oauth.client_auth import ClientSecretBasic, ClientSecretPost, PrivateKeyJwt
from mcp_idp.util.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_idp.cli.common.console import StepReporter
    from mcp_idp.cli.common.safe_http import HttpResult
    from mcp_idp.cli.doctor.context import CheckContext
    from mcp_idp.oauth.client_auth import ClientAuth

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_OK = 200
_CREATED = (200, 201)
_INTERVAL = 5.0  # RFC 8628 section 3.2
_SLOW_DOWN_SECONDS = 5.0  # section 3.5, slow_down
_LONGEST_INTERVAL = 60.0
_MAX_MESSAGE_CHARACTERS = 300


class DeviceFlowUnavailable(Exception):
    """The provider does not offer the device flow to this client; the message says why."""


@dataclass(slots=True)
class GrantRunner:
    """Requests tokens by device authorization or client credentials.

    Attributes:
        case: The server, with its provider's metadata discovered.
        narrator: Receives the requests and the messages to the user.
        scope: The scopes to request, separated by spaces.
        registration: This run's client registration, if it registered a client.
        sleep: Waits for the given number of seconds.
    """

    case: CheckContext
    narrator: StepReporter
    scope: str
    registration: ClientRegistration | None = None
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

    async def device_authorization(self, client_id: str | None, timeout: float) -> str:  # noqa: ASYNC109 - the value of --timeout, shown in the message
        """Performs the device flow (RFC 8628): the user enters a code in a browser on any device.

        Args:
            client_id: A preregistered client, or None to register one.
            timeout: How long to wait for the user, in seconds.

        Returns:
            The access token.

        Raises:
            DeviceFlowUnavailable: The provider rejected the flow before the user had to do anything.
            LoginError: The user or the provider rejected the login, or it timed out.
            ProviderError: The provider is unreachable.
        """
        if not is_http_url(text(self.case.provider, "device_authorization_endpoint")):
            raise DeviceFlowUnavailable("its metadata names no device authorization endpoint")
        client_id = client_id or await self._register()
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        # PKCE is not part of RFC 8628, but providers that enforce it for all clients (Keycloak) require it here too.
        request_form = self._form(client_id=client_id, code_challenge=challenge, code_challenge_method="S256")
        begun = await self._post("device_authorization_endpoint", request_form)
        code, where = text(begun.json_if_ok, "device_code"), text(begun.json_if_ok, "verification_uri")
        if not code or not is_http_url(where):
            raise DeviceFlowUnavailable(f"the device authorization endpoint reports {self._error_text(begun)}")
        self.narrator.secrets.add_secret(code, verifier)
        form = {"grant_type": DEVICE_GRANT, "device_code": code, "client_id": client_id, "code_verifier": verifier}
        # Poll once before the user has to do anything: a provider that rejects the grant does so now.
        first = await self._post("token_endpoint", form)
        if text(first.document, "error") not in {"authorization_pending", "slow_down"}:
            raise DeviceFlowUnavailable(f"the token endpoint reports {self._error_text(first)}")
        self._print_instructions(begun.json_if_ok, where)
        try:
            async with asyncio.timeout(timeout):
                return await self._poll(form, _interval(begun.json_if_ok.get("interval")))
        except TimeoutError as error:
            raise LoginError(f"the code was not entered within {timeout:g} s", "allow more: --timeout 900") from error

    async def client_credentials(self, client_id: str, credential: str | ClientSigningKey) -> str:
        """Obtains a token for the client itself, without a user (RFC 6749 section 4.4).

        Args:
            client_id: The client.
            credential: The client's secret, or its key for a signed assertion (RFC 7523 section 2.2).

        Returns:
            The access token.

        Raises:
            LoginError: The provider rejected the request.
            ProviderError: The provider is unreachable.
        """
        auth_params = self._way(client_id, credential).credentials()
        self.narrator.secrets.add_secret(*auth_params.headers.values(), auth_params.form.get("client_assertion"))
        form = self._form(grant_type="client_credentials")
        reply = await self._post("token_endpoint", {**form, **auth_params.form}, auth_params.headers)
        token = text(reply.json_if_ok, "access_token")
        if not token:
            raise LoginError(f"the provider issues no token to {client_id}: {self._error_text(reply)}")
        return token

    def _way(self, client_id: str, credential: str | ClientSigningKey) -> ClientAuth:
        if isinstance(credential, ClientSigningKey):
            return PrivateKeyJwt(client_id, credential, self.case.issuer, Clock())
        self.narrator.secrets.add_secret(credential)
        methods = texts(self.case.provider.get("token_endpoint_auth_methods_supported")) or ("client_secret_basic",)
        way = ClientSecretBasic if "client_secret_basic" in methods else ClientSecretPost
        return way(client_id, credential)

    async def _register(self) -> str:
        endpoint = text(self.case.provider, "registration_endpoint")
        if not is_http_url(endpoint):
            raise DeviceFlowUnavailable("there is no registration endpoint, and no --client-id")
        document: dict[str, Any] = {
            "client_name": "mcp-idp token",
            # The device flow does not use it, but most providers require one.
            "redirect_uris": ["http://127.0.0.1/callback"],
            "grant_types": [DEVICE_GRANT, "authorization_code"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }
        reply = await self.case.http.send(
            "POST", endpoint, json={**document, **({"scope": self.scope} if self.scope else {})}
        )
        client_id = text(reply.document, "client_id")
        if reply.status not in _CREATED or not client_id:
            raise DeviceFlowUnavailable(f"the registration endpoint reports {self._error_text(reply)}")
        self.registration = registration = ClientRegistration.read(endpoint, reply.document)
        self.narrator.secrets.add_secret(registration.token, reply.document.get("client_secret"))
        return client_id

    def _form(self, **members: str) -> dict[str, str]:
        form = {**members, "resource": text(self.case.resource, "resource") or self.case.url}
        return {**form, "scope": self.scope} if self.scope else form

    async def _post(self, endpoint: str, form: dict[str, str], headers: dict[str, str] | None = None) -> HttpResult:
        url = text(self.case.provider, endpoint)
        self.narrator.line("request", f"POST {url}")
        reply = await self.case.http.send("POST", url, headers=headers, form=form)
        self.narrator.secrets.add_secret(
            *(reply.document.get(n) for n in ("access_token", "refresh_token", "id_token"))
        )
        return reply

    def _print_instructions(self, begun: dict[str, Any], where: str) -> None:
        complete = text(begun, "verification_uri_complete")
        self.narrator.message(
            f"Open {complete if is_http_url(complete) else where} in any browser and log in.", style="bold"
        )
        self.narrator.message(f"The page must show or request this code: {text(begun, 'user_code')}", style="bold")

    async def _poll(self, form: dict[str, str], interval: float) -> str:
        while True:
            await self.sleep(interval)
            reply = await self._post("token_endpoint", form)
            if token := text(reply.json_if_ok, "access_token"):
                return token
            match text(reply.document, "error"):
                case "authorization_pending":
                    continue
                case "slow_down":
                    interval = min(interval + _SLOW_DOWN_SECONDS, _LONGEST_INTERVAL)
                case _:
                    raise LoginError(f"no token was issued: {self._error_text(reply)}", "use the browser: --flow code")

    def _error_text(self, reply: HttpResult) -> str:
        if reply.fault is not None:
            raise ProviderError(f"the provider does not respond at {reply.url}: {reply}")
        message = text(reply.document, "error_description") or text(reply.document, "error")
        return self.narrator.secrets.redact_remote_text(f"{reply.status} {message[:_MAX_MESSAGE_CHARACTERS]}".strip())


def _interval(value: object) -> float:
    is_valid = isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= _LONGEST_INTERVAL
    return float(str(value)) if is_valid else _INTERVAL
