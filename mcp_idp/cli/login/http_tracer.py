"""Traces the HTTP requests and responses of the SDK's OAuth client and reports each as one of the eight login steps.

The tracer only observes: it does not send, change or repeat requests. Bodies that it cannot parse are ignored.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx2

from mcp_idp.cli.common.client_deregistration import ClientRegistration
from mcp_idp.cli.common.clock_difference import seconds_ahead
from mcp_idp.cli.common.errors import ProviderError
from mcp_idp.cli.common.launcher import as_launched
from mcp_idp.cli.common.token_summary import (
    Claims,
    audiences,
    decode_unverified_claims,
    describe_claims,
    roles_or_groups,
    scopes,
)
from mcp_idp.cli.common.trusted_issuer import check_issuer
from mcp_idp.cli.login.granted_scopes import describe_missing, missing_scopes
from mcp_idp.cli.login.rejected_token import RejectedRequest
from mcp_idp.cli.login.steps import STEPS, StepKind
from mcp_idp.util import strict_json
from mcp_idp.util.urls import is_private

if TYPE_CHECKING:
    from mcp_idp.access.policy import AccessPolicy
    from mcp_idp.cli.common.console import StepReporter


def json_object(response: httpx2.Response) -> dict[str, Any]:
    """Returns the JSON object in the body of `response`; empty if there is none.

    Raises:
        ProviderError: The JSON is ambiguous or nests too deeply, so that the SDK could read it differently.
    """
    try:
        body = strict_json.loads(response.content)
    except strict_json.StrictJsonError as error:
        if _is_any_json(response.content):
            raise ProviderError(f"the response of {response.request.url} is not usable: {error}") from error
        return {}
    return body if isinstance(body, dict) else {}


def _is_any_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def json_method(request: httpx2.Request) -> str:
    """Returns the JSON-RPC method in `request`, followed by `params.name` if present: `tools/call greet`."""
    try:
        message = json.loads(request.content)
    except ValueError:
        return "a message"
    if not isinstance(message, dict):
        return "a message"
    name = message["params"].get("name") if isinstance(message.get("params"), dict) else None
    return f"{message.get('method', 'a reply')}{f' {name}' if isinstance(name, str) else ''}"


_OK = 200
_ERROR = 400
_HIDDEN_FIELDS = frozenset({"code", "code_verifier", "client_secret", "refresh_token"})
_SECRET_MEMBERS = ("access_token", "refresh_token", "id_token", "client_secret", "registration_access_token")


class HttpTracer:
    """The request and response hooks of the HTTP client, and what they have observed.

    Args:
        narrator: Receives the steps.
        url: The MCP server's URL, as the user named it.
        access: The access policy, if available, for explanations.
        configured_issuer: The only provider that may receive the password; None for a browser login.

    Attributes:
        kind: The step of the last request.
        requested_url: The URL of the last request.
        provider_metadata: The authorization server metadata; empty until it is received.
        url: The MCP server's URL, as the user named it.
        resource: The resource identifier in the server's metadata, by default its URL.
        registration: This client's registration, if it registered.
        requested_scopes: The scopes of the authorization request; set by the caller that starts the login.
        not_granted: The requested scopes that the last token does not contain.
        claims: The claims of the last access token; None before the first token and for opaque tokens.
        rejection: The last 401 or 403 response to a request with a token.
        token_received: Whether a token was received.
        logged_in: Whether step 8 has begun, with or without a token.
        issuer: The first issuer in the server's metadata, unchanged.
    """

    def __init__(
        self, narrator: StepReporter, url: str, access: AccessPolicy | None = None, configured_issuer: str | None = None
    ) -> None:
        self.kind = StepKind.INITIAL_REQUEST
        self.requested_url = url
        self.provider_metadata: dict[str, Any] = {}
        self.resource = url
        self.registration: ClientRegistration | None = None
        self.requested_scopes: list[str] = []
        self.not_granted: list[str] = []
        self.claims: Claims | None = None
        self.rejection: RejectedRequest | None = None
        self.token_received = False
        self.logged_in = False
        self.url = url
        self._server = httpx2.URL(url)  # normalized like the URLs of requests: lower-case host, no default port
        self._access = access
        self._roles_claim = access.roles_claim if access else "roles"
        self.issuer: str | None = None
        self._configured_issuer = configured_issuer
        self._narrator = narrator
        self._secrets = narrator.secrets

    def redact_remote_text(self, text: str) -> str:
        """Returns text of a provider or server without the password."""
        return self._secrets.redact_remote_text(text)

    async def on_request(self, request: httpx2.Request) -> None:
        """Reports a request.

        Raises:
            ProviderError: There is no provider metadata, so that the SDK is about to register at the MCP server; or the
                server names another provider than the one that may receive the password.
        """
        await request.aread()  # the SDK repeats a request after a redirect within the origin, with a stream as its body
        self.kind, self.requested_url = self._classify(request), str(request.url)
        if not is_private(self._server.host) and is_private(request.url.host):
            raise ProviderError(
                f"{request.url} is inside this network and the server is not: no request was sent",
                "the server's metadata must name addresses that every client can reach",
            )
        if self._configured_issuer is not None and self.kind in {StepKind.PROVIDER_METADATA, StepKind.REGISTRATION}:
            check_issuer(self.issuer or "", self._configured_issuer)
        authorization = request.headers.get("authorization", "")
        self._secrets.add_secret(authorization, authorization.partition(" ")[2])
        if self.issuer is not None and not self.provider_metadata and self.kind is StepKind.REGISTRATION:
            raise ProviderError(
                f"found no metadata of the provider {self.issuer}",
                f"open {self.issuer}/.well-known/openid-configuration: it must respond and name exactly this issuer",
            )
        self._narrator.step(*STEPS[self.kind])
        self._narrator.line("request", f"{request.method} {request.url}{self._details(request)}")

    async def on_response(self, response: httpx2.Response) -> None:
        """Reports a response, and stores what later explanations require."""
        request, status_line = response.request, f"{response.status_code} {response.reason_phrase}"
        kind = self._classify(request)
        body: dict[str, Any] = {}
        if kind is not StepKind.CALL or response.status_code >= _ERROR:  # the MCP client reads the bodies of tool calls
            await response.aread()
            body = json_object(response)
        self._secrets.add_secret(*(body.get(name) for name in _SECRET_MEMBERS))
        self._narrator.line("response", status_line)
        if challenge := response.headers.get("www-authenticate"):
            self._narrator.line("response", f"WWW-Authenticate: {challenge}")
        if kind in {StepKind.INITIAL_REQUEST, StepKind.CALL}:
            self._store_rejection(response, body)
        elif response.status_code >= _ERROR and body:
            description = self.redact_remote_text(str(body.get("error_description", "")))
            self._narrator.line("response", f"{body.get('error', '')} {description}".strip())
        elif body and response.status_code < 300:  # noqa: PLR2004 - success
            if kind is StepKind.REGISTRATION:
                self.registration = ClientRegistration.read(str(request.url), body)
            self._report_document(kind, body)

    def _classify(self, request: httpx2.Request) -> StepKind:
        url, path = str(request.url), request.url.path
        if request.url == self._server:
            return StepKind.CALL if self.logged_in or "authorization" in request.headers else StepKind.INITIAL_REQUEST
        if "/.well-known/" in path:
            return StepKind.RESOURCE_METADATA if "oauth-protected-resource" in path else StepKind.PROVIDER_METADATA
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        if url == self.provider_metadata.get("token_endpoint") or is_form:
            return StepKind.TOKEN
        if request.method == "POST":
            return StepKind.REGISTRATION
        return StepKind.RESOURCE_METADATA  # a challenge may name any URL for its metadata (RFC 9728 section 5.1)

    def _details(self, request: httpx2.Request) -> str:
        kind = self._classify(request)
        if kind is StepKind.REGISTRATION:
            return f"  {request.content.decode(errors='replace')}"
        if kind is StepKind.TOKEN:
            fields = parse_qsl(request.content.decode(errors="replace"))
            self._secrets.add_secret(*(v for k, v in fields if k in _HIDDEN_FIELDS))
            return "  " + " ".join(f"{k}={'<hidden>' if k in _HIDDEN_FIELDS else v}" for k, v in fields)
        if kind in {StepKind.INITIAL_REQUEST, StepKind.CALL} and request.method == "POST":
            credentials = "Authorization: Bearer <hidden>" if "authorization" in request.headers else "without a token"
            return f"  {json_method(request)}, {credentials}"
        return ""

    def _store_rejection(self, response: httpx2.Response, body: dict[str, Any]) -> None:
        if response.status_code not in {401, 403} or "authorization" not in response.request.headers:
            return
        challenge = response.headers.get("www-authenticate", "")
        if isinstance(error := body.get("error"), dict):  # a JSON-RPC error: docs/decisions/rejections-as-json-rpc.md
            data = error.get("data")
            body = {**(data if isinstance(data, dict) else {}), "error_description": error.get("message")}
        description = self.redact_remote_text(str(body.get("error_description") or body.get("error") or ""))
        self.rejection = RejectedRequest(
            response.status_code,
            challenge,
            description,
            str(body.get("correlation_id") or ""),
            seconds_ahead(response.headers, time.time()),
        )

    def _report_document(self, kind: StepKind, body: dict[str, Any]) -> None:
        if kind is StepKind.RESOURCE_METADATA:
            self.resource = str(body.get("resource", self.url))
            providers = body.get("authorization_servers")
            self.issuer = str(providers[0]) if isinstance(providers, list) and providers else None
            self._report_members(body, "resource", "authorization_servers", "scopes_supported")
        elif kind is StepKind.PROVIDER_METADATA:
            self.provider_metadata = body
            self._report_members(body, "issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint")
            self._report_members(body, "code_challenge_methods_supported")
        elif kind is StepKind.REGISTRATION:
            self._report_members(
                body, "client_id", "client_name", "redirect_uris", "scope", "token_endpoint_auth_method"
            )
        elif kind is StepKind.TOKEN:
            self._report_token(body)

    def _report_members(self, body: dict[str, Any], *names: str) -> None:
        for name in names:
            if name in body:
                value = body[name]
                self._narrator.line("response", f"{name}: {value if isinstance(value, str) else json.dumps(value)}")

    def _report_token(self, body: dict[str, Any]) -> None:
        self.token_received = True
        self.claims = decode_unverified_claims(str(body.get("access_token", "")))
        self._report_members(body, "token_type", "expires_in", "scope")
        self._narrator.line("response", f"refresh token: {'yes' if body.get('refresh_token') else 'no'}")
        if self.claims is None:
            self._narrator.line("note", "the access token is opaque: only the provider can read it")
        else:
            self._report_claims(self.claims)
        self.not_granted = missing_scopes(self.requested_scopes, body, self.claims, self._access)
        if self.not_granted:
            self._narrator.line("note", as_launched(describe_missing(self.not_granted, self.claims, self._access)))

    def _report_claims(self, claims: Claims) -> None:
        names = [*audiences(claims), *scopes(claims), *roles_or_groups(claims, self._roles_claim)[1]]
        self._secrets.add_public(claims.get("iss"), claims.get("sub"), *names)
        self._narrator.line("note", "the access token, decoded and not verified (the server does that):")
        for line in describe_claims(claims, time.time(), self._roles_claim):
            self._narrator.line("note", f"  {line}")
