"""Misconfigurations: how to apply each, the reports that describe it, the doctor's first finding, and the fix.

`fix` applies the finding's advice to a third-party server or provider. If it is None, the settings or the URL in the
finding are the fix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt

from mcp_idp.testing.issuer import NOW, Issuer, rsa_key
from tests.support.doctor_testbed import (
    WELL_KNOWN,
    DoctorTestbed,
    HttpResponse,
    Json,
    responding,
    rewriting_header,
    without_header,
)

Change = Callable[[DoctorTestbed], None]
MCP = "/mcp"
PUBLIC = "https://mcp.example.com/mcp"
LOGIN = "https://login.example.com/realms/mcp"


@dataclass(frozen=True)
class Misconfiguration:
    """A misconfiguration. `also` lists further findings with the same cause."""

    name: str
    complaint: str
    apply: Change
    first: str
    fix: Change | None = None
    also: frozenset[str] = frozenset()


def setting(**variables: str) -> Change:
    return lambda testbed: testbed.env.update(variables)


def unset(*names: str) -> Change:
    def change(testbed: DoctorTestbed) -> None:
        for name in names:
            del testbed.env[name]

    return change


def called(url: str) -> Change:
    return lambda testbed: setattr(testbed, "url", url)


def through(*proxies: Any) -> Change:
    return lambda testbed: testbed.proxies.extend(proxies)


def no_proxy(testbed: DoctorTestbed) -> None:
    testbed.proxies.clear()


def with_metadata(**members: Any) -> Change:
    """Returns a change that sets members of the provider's metadata; None removes one."""
    return lambda testbed: testbed.provider.document.update(members)


def handing(**claims: Any) -> Change:
    """Returns a change that passes a token with these claims to the doctor; `...` removes a claim."""

    def change(testbed: DoctorTestbed) -> None:
        testbed.token = testbed.provider.issuer.token(**claims)

    return change


def handing_text(make: Callable[[Issuer], str]) -> Change:
    return lambda testbed: setattr(testbed, "token", make(testbed.provider.issuer))


valid_token = handing()


def every(*changes: Change) -> Change:
    def change(testbed: DoctorTestbed) -> None:
        for one in changes:
            one(testbed)

    return change


def behind_tls(testbed: DoctorTestbed) -> None:
    """Makes server and provider public, behind proxies that terminate TLS."""
    testbed.names = {"mcp.example.com"}
    testbed.url = PUBLIC
    testbed.provider.name(LOGIN)
    testbed.env |= {"OAUTH_SERVER_URL": LOGIN, "MCP_PUBLIC_URL": PUBLIC}


def registering(respond: Callable[[Json], tuple[int, Json]]) -> Change:
    def change(testbed: DoctorTestbed) -> None:
        testbed.register = True
        testbed.provider.registers = respond

    return change


open_registration = registering(lambda _: (201, {}))


def rejected(description: str, error: str = "insufficient_scope") -> tuple[int, Json]:
    return 403, {"error": error, "error_description": description}


def trusted_hosts(_: Json) -> tuple[int, Json]:
    return rejected(
        "Policy 'Trusted Hosts' rejected request to client-registration service. Details: Host not trusted."
    )


def client_scopes(requests: Json) -> tuple[int, Json]:
    reason = "Policy 'Allowed Client Scopes' rejected request. Details: Not permitted to use specified clientScope"
    return rejected(reason) if "scope" in requests else (201, {})


def loopback_only(requests: Json) -> tuple[int, Json]:
    if all(uri.startswith("http://") for uri in requests["redirect_uris"]):
        return 201, {}
    return rejected("Policy 'Trusted Hosts' rejected request. Details: URI doesn't match any trusted host")


def acting_as(client: str) -> Change:
    return lambda testbed: setattr(testbed, "client", client)


def rejecting_home_pages(requests: Json) -> tuple[int, Json]:
    if "client_uri" not in requests:
        return 201, {}
    return rejected("Policy 'Trusted Hosts' rejected request. Details: URI doesn't match any trusted host")


def authorizing(respond: Callable[[dict[str, str], Json], HttpResponse | None]) -> Change:
    return lambda testbed: setattr(testbed.provider, "authorizes", respond)


show_the_login_page = authorizing(lambda *_: None)


def _unregistered_scope(parameters: dict[str, str], client: Json) -> HttpResponse | None:
    """Responds like Keycloak to a scope that the client did not register."""
    if set(parameters.get("scope", "").split()) <= set(client.get("scope", "").split()):
        return None
    return HttpResponse(302, {"location": f"{parameters['redirect_uri']}?error=invalid_scope&state=x"})


def _exact_redirect_uri(parameters: dict[str, str], client: Json) -> HttpResponse | None:
    """Responds like Keycloak to a redirect URI with another port."""
    page = b"<title>Sign in</title><p class=kc-error>Invalid parameter: redirect_uri</p>"
    return None if parameters["redirect_uri"] in client["redirect_uris"] else HttpResponse(400, {}, page)


def _require_a_version_first(request: Any, message: HttpResponse) -> None:
    if request.url.path == MCP and request.method == "POST" and "mcp-protocol-version" not in request.headers:
        message.status = 400


def _require_a_version_in_sessions(request: Any, message: HttpResponse) -> None:
    if "mcp-session-id" in request.headers and "mcp-protocol-version" not in request.headers:
        message.status = 400


def known_setting(**variables: str) -> Change:
    """Returns a change of settings that the doctor finds on its machine."""
    return every(setting(**variables), lambda testbed: setattr(testbed, "knows_settings", True))


def no_preflight(testbed: DoctorTestbed) -> None:
    testbed.provider.preflights["/realms/mcp/clients"] = HttpResponse(405)


def preflights_again(testbed: DoctorTestbed) -> None:
    testbed.provider.preflights.clear()


def _accept_any_host(request: Any, message: HttpResponse) -> None:
    if request.headers["host"] == "doctor.invalid":
        message.status = 401


def _accept_any_origin(request: Any, message: HttpResponse) -> None:
    if request.headers.get("origin") == "https://doctor.invalid":
        message.status = 401


def _require_no_login(_: Any, response: HttpResponse) -> None:
    if response.status == 401:
        response.status = 200


def _take_any_token(request: Any, message: HttpResponse) -> None:
    if "authorization" in request.headers:
        message.status = 200


def _other_scopes(_: Any, message: HttpResponse) -> None:
    if challenge := message.headers.get("www-authenticate", ""):
        message.headers["www-authenticate"] = challenge.replace(" mcp:notes.write", "")


def _forget_the_challenge(request: Any, message: HttpResponse) -> None:
    if "authorization" in request.headers:
        message.status = 403
        message.headers.pop("www-authenticate", None)


def _read_the_query(request: Any, message: HttpResponse) -> None:
    if request.url.query:
        message.headers["www-authenticate"] = 'Bearer error="invalid_token"'


def _redirect(request: Any, message: HttpResponse) -> None:
    if request.url.path == MCP and request.method == "POST":
        message.status, message.headers["location"] = 308, "https://mcp.example.com/mcp"


def _provider_clock(seconds: float) -> Change:
    return lambda testbed: setattr(testbed.provider, "ahead", seconds)


def _server_clock(seconds: float) -> Change:
    return lambda testbed: setattr(testbed, "server_ahead", seconds)


def _forms(*forms: str) -> Change:
    return lambda testbed: setattr(testbed.provider, "forms", forms)


ALL_FORMS = _forms("oauth-authorization-server", "inserted", "appended")
HIDDEN = "http://keycloak:8080/realms/mcp"
DOCUMENT = f"{WELL_KNOWN}{MCP}"
ROOT_ONLY = (
    responding(DOCUMENT, 404),
    rewriting_header("www-authenticate", f"{WELL_KNOWN}/mcp", WELL_KNOWN),
)


def _encrypted(_: Issuer) -> str:
    return "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y2lwaGVy.dGFn"


def _shared_secret(issuer: Issuer) -> str:
    return jwt.encode(issuer.claims(), "x" * 32, algorithm="HS256", headers={"kid": "one"})


def _third_party_token(issuer: Issuer) -> str:
    return issuer.token(key=rsa_key("stranger"))


def _of_another_realm(issuer: Issuer) -> str:
    return issuer.token(key=rsa_key("stranger"), kid="of-another-realm")


MISCONFIGURATIONS = (
    # --- the URL -----------------------------------------------------------------------------------------------------
    Misconfiguration(
        "a trailing slash of the URL", "python-sdk#1052", called("http://localhost:3000/mcp/"), "wrong_path"
    ),
    Misconfiguration(
        "127.0.0.1 for localhost", "python-sdk#1264", called("http://127.0.0.1:3000/mcp"), "other_resource"
    ),
    Misconfiguration(
        "a public server that believes it is local",
        "nextcloud-mcp-server#373, awslabs/mcp#4507",
        every(behind_tls, unset("MCP_PUBLIC_URL")),
        "host_rejected",
    ),
    Misconfiguration("a redirect", "cursor#3722", every(behind_tls, through(_redirect)), "redirected", no_proxy),
    Misconfiguration(
        "http behind a TLS proxy, in the challenge",
        "mesh-mcp#20",
        every(behind_tls, through(rewriting_header("www-authenticate", "https://", "http://"))),
        "metadata_url_wrong",
        no_proxy,
    ),
    Misconfiguration(
        "http behind a TLS proxy, in the metadata",
        "agentic-community#219",
        every(behind_tls, through(responding(DOCUMENT, 200, resource="http://mcp.example.com/mcp"))),
        "other_resource",
        no_proxy,
        frozenset({"two_versions"}),
    ),
    Misconfiguration("an error of the proxy", "seen", through(responding(MCP, 502)), "server_error", no_proxy),
    Misconfiguration("403 in place of 401", "spec", through(responding(MCP, 403)), "forbidden_without_token", no_proxy),
    # --- the challenge -----------------------------------------------------------------------------------------------
    Misconfiguration(
        "a proxy that takes WWW-Authenticate away",
        "python-sdk#1400",
        through(without_header("www-authenticate")),
        "challenge_missing",
        no_proxy,
        frozenset({"no_new_login"}),
    ),
    Misconfiguration(
        "an error for missing credentials",
        "python-sdk#3103",
        through(rewriting_header("www-authenticate", "Bearer resource", 'Bearer error="invalid_token", resource')),
        "challenge_error",
        no_proxy,
    ),
    Misconfiguration(
        "no scope in the challenge",
        "python-sdk#3103",
        through(rewriting_header("www-authenticate", "scope=", "realm=")),
        "scope_not_named",
        no_proxy,
    ),
    Misconfiguration(
        "no resource_metadata in the challenge",
        "MCP 2025-06-18",
        through(rewriting_header("www-authenticate", "resource_metadata=", "realm=")),
        "metadata_not_named",
        no_proxy,
    ),
    # --- the metadata ------------------------------------------------------------------------------------------------
    Misconfiguration(
        "no RFC 9728 document",
        "mcp-remote#128",
        through(responding(DOCUMENT, 404), responding(WELL_KNOWN, 404)),
        "document_missing",
        no_proxy,
    ),
    Misconfiguration("the document at the root only", "python-sdk#1052", through(*ROOT_ONLY), "not_at_path", no_proxy),
    Misconfiguration(
        "the document not at the root", "seen", through(responding(WELL_KNOWN, 404)), "not_at_root", no_proxy
    ),
    Misconfiguration(
        "two documents",
        "seen",
        through(responding(WELL_KNOWN, 200, scopes_supported=["everything"])),
        "two_versions",
        no_proxy,
    ),
    Misconfiguration(
        "no authorization server",
        "spec",
        through(*(responding(path, 200, authorization_servers=[]) for path in (DOCUMENT, WELL_KNOWN))),
        "no_issuer",
        no_proxy,
    ),
    Misconfiguration(
        "the provider named as containers reach it",
        "microcks#943",
        setting(OAUTH_SERVER_URL=HIDDEN),
        "hidden_issuer",
    ),
    Misconfiguration(
        "an http provider of a public server",
        "keycloak#25350",
        every(
            behind_tls,
            through(
                *(
                    responding(p, 200, authorization_servers=["http://login.example.com"])
                    for p in (DOCUMENT, WELL_KNOWN)
                )
            ),
        ),
        "cleartext_issuer",
        no_proxy,
    ),
    Misconfiguration(
        "offline_access in the challenge",
        "claude-code#41610",
        through(rewriting_header("www-authenticate", "mcp:tools", "mcp:tools offline_access")),
        "offline_access_advertised",
        no_proxy,
    ),
    # --- the provider ------------------------------------------------------------------------------------------------
    Misconfiguration(
        "a slash that the issuer does not have",
        "fastmcp#1431",
        setting(OAUTH_SERVER_URL="http://localhost:8080/realms/mcp/"),
        "other_issuer",
    ),
    Misconfiguration(
        "no slash where the issuer has one",
        "inspector#566",
        every(
            lambda testbed: testbed.provider.name("http://localhost:8080/"),
            setting(OAUTH_SERVER_URL="http://localhost:8080", OAUTH_PROVIDER="keycloak"),
        ),
        "other_issuer",
    ),
    Misconfiguration(
        "an issuer that follows the caller",
        "microcks#943, NikiforovAll#115",
        with_metadata(issuer=HIDDEN),
        "hidden_provider_issuer",
        with_metadata(issuer="http://localhost:8080/realms/mcp"),
    ),
    Misconfiguration(
        "an endpoint that only containers know",
        "NikiforovAll#144",
        with_metadata(token_endpoint=f"{HIDDEN}/protocol/openid-connect/token"),
        "hidden_endpoint",
        lambda testbed: testbed.provider.name("http://localhost:8080/realms/mcp"),
    ),
    Misconfiguration(
        "an http endpoint of an https provider",
        "keycloak#25350",
        every(behind_tls, with_metadata(token_endpoint="http://login.example.com/token")),
        "cleartext_endpoint",
        lambda testbed: testbed.provider.name(LOGIN),
    ),
    Misconfiguration(
        "no token endpoint",
        "RFC 8414",
        with_metadata(token_endpoint=None),
        "endpoint_missing",
        lambda testbed: testbed.provider.name("http://localhost:8080/realms/mcp"),
    ),
    Misconfiguration(
        "no S256",
        "csharp-sdk#648",
        with_metadata(code_challenge_methods_supported=None),
        "no_pkce",
        with_metadata(code_challenge_methods_supported=["S256"]),
    ),
    Misconfiguration(
        "PKCE with plain only",
        "spec",
        with_metadata(code_challenge_methods_supported=["plain"]),
        "no_pkce",
        with_metadata(code_challenge_methods_supported=["plain", "S256"]),
    ),
    Misconfiguration(
        "only openid-configuration", "keycloak#29627", _forms("appended"), "only_openid_configuration", ALL_FORMS
    ),
    Misconfiguration("a wrong realm", "keycloak#40923", _forms(), "provider_metadata_missing", ALL_FORMS),
    Misconfiguration(
        "the provider is down",
        "claude-ai-mcp#385",
        setting(OAUTH_SERVER_URL="http://localhost:8088/realms/mcp"),
        "provider_unreachable",
        unset("OAUTH_SERVER_URL"),
    ),
    Misconfiguration(
        "scopes that the realm does not have",
        "agentic-community#1143",
        with_metadata(scopes_supported=["openid", "mcp:tools"]),
        "unknown_scopes",
        with_metadata(scopes_supported=["mcp:tools", "mcp:notes.read", "mcp:notes.write"]),
    ),
    Misconfiguration(
        "keys that verify nothing",
        "seen",
        lambda testbed: setattr(testbed.provider.issuer, "keys", [{"kty": "oct", "k": "c2VjcmV0"}]),
        "provider_unreachable_from_server",
        lambda testbed: setattr(testbed.provider.issuer, "keys", Issuer().keys),
        frozenset({"no_keys"}),
    ),
    Misconfiguration(
        "the server cannot reach the provider",
        "microcks#943",
        setting(OAUTH_INTERNAL_URL="http://other:8080/realms/mcp"),
        "provider_unreachable_from_server",
        setting(OAUTH_INTERNAL_URL=HIDDEN),
    ),
    # --- clocks ------------------------------------------------------------------------------------------------------
    Misconfiguration(
        "the server's clock 10 minutes behind", "seen", _server_clock(-600), "clock_skew", _server_clock(0)
    ),
    Misconfiguration(
        "the provider's clock 10 minutes ahead", "seen", _provider_clock(600), "clock_skew", _provider_clock(0)
    ),
    Misconfiguration(
        "the clock here 10 minutes behind",
        "seen",
        every(_provider_clock(600), _server_clock(601)),
        "clock_here",
        every(_provider_clock(0), _server_clock(0)),
    ),
    # --- registration ------------------------------------------------------------------------------------------------
    Misconfiguration(
        "no way to register",
        "vscode#252892",
        with_metadata(registration_endpoint=None),
        "no_registration",
        with_metadata(client_id_metadata_document_supported=True),
        frozenset({"only_documents"}),
    ),
    Misconfiguration(
        "metadata documents only, and no public clients",
        "keycloak#44403, fastmcp#4600",
        with_metadata(
            registration_endpoint=None,
            client_id_metadata_document_supported=True,
            token_endpoint_auth_methods_supported=["client_secret_basic"],
        ),
        "no_public_clients",
        with_metadata(token_endpoint_auth_methods_supported=["client_secret_basic", "none"]),
        frozenset({"only_documents"}),
    ),
    Misconfiguration(
        "Trusted Hosts refuses everybody",
        "opensearch-mcp-server-py#227, open-liberty#35062",
        registering(trusted_hosts),
        "registration_rejected",
        open_registration,
    ),
    Misconfiguration(
        "a scope that may not be registered",
        "keycloak#43654",
        registering(client_scopes),
        "client_rejected",
        open_registration,
    ),
    Misconfiguration(
        "redirects to vendors refused",
        "vscode#278512",
        registering(loopback_only),
        "client_rejected",
        open_registration,
    ),
    Misconfiguration(
        "registrations that cannot be removed",
        "agentic-community#1119",
        registering(lambda _: (201, {"registration_client_uri": None})),
        "registration_not_removed",
        open_registration,
    ),
    # --- the server's settings ---------------------------------------------------------------------------------------
    Misconfiguration(
        "another audience than the public URL",
        "claude-code#90497",
        known_setting(JWT_AUDIENCE="https://wrong.example/mcp"),
        "setting_contradicts",
        unset("JWT_AUDIENCE"),
    ),
    Misconfiguration(
        "the public URL with a slash as audience",
        "seen",
        known_setting(JWT_AUDIENCE="http://localhost:3000/mcp/"),
        "setting_contradicts",
        unset("JWT_AUDIENCE"),
    ),
    Misconfiguration(
        "the issuer of another realm",
        "seen",
        known_setting(JWT_ISSUER="http://localhost:8080/realms/other"),
        "setting_contradicts",
        unset("JWT_ISSUER"),
    ),
    Misconfiguration(
        "keys of another provider",
        "seen",
        known_setting(JWT_JWKS_URL="http://localhost:8080/other/certs"),
        "setting_contradicts",
        unset("JWT_JWKS_URL"),
    ),
    Misconfiguration(
        "introspection without an endpoint",
        "actual-mcp-server#464",
        lambda testbed: testbed.settings_since.update(AUTH_TOKEN_MODE="introspection"),  # it would not start with it
        "introspection_missing",
        lambda testbed: testbed.settings_since.clear(),
    ),
    Misconfiguration(
        "another access file",
        "seen",
        every(known_setting(ACCESS_FILE="idp-config/access.yaml"), through(_other_scopes)),
        "other_access_file",
        no_proxy,
    ),
    Misconfiguration(
        "a token for the public URL, and another audience set",
        "claude-code#90497",
        every(known_setting(JWT_AUDIENCE="https://wrong.example/mcp"), valid_token),
        "token_audience",
        unset("JWT_AUDIENCE"),
    ),
    Misconfiguration(
        "a token of the issuer, and another issuer set",
        "seen",
        every(known_setting(JWT_ISSUER="http://localhost:8080/realms/other"), valid_token),
        "token_issuer",
        unset("JWT_ISSUER"),
    ),
    # --- one client (--as) --------------------------------------------------------------------------------------------
    Misconfiguration(
        "a client of a vendor at a server on this machine",
        "seen",
        acting_as("claude-ai"),
        "client_out_of_reach",
        behind_tls,
    ),
    Misconfiguration(
        "a proxy that wants a protocol version at once",
        "seen",
        every(acting_as("codex"), through(_require_a_version_first)),
        "client_request_rejected",
        no_proxy,
    ),
    Misconfiguration(
        "a server that wants a protocol version in sessions",
        "seen with VS Code 1.139.1",
        every(acting_as("vscode"), valid_token, through(_require_a_version_in_sessions)),
        "client_session_rejected",
        no_proxy,
    ),
    Misconfiguration(
        "an issuer with a path, for a client that looks at its origin",
        "seen with Qwen Code 0.24.4",
        acting_as("qwen"),
        "client_finds_no_metadata",
        every(
            lambda testbed: testbed.provider.name("http://localhost:8080"),
            setting(OAUTH_SERVER_URL="http://localhost:8080", OAUTH_PROVIDER="keycloak"),
        ),
    ),
    Misconfiguration(
        "no iss in authorization responses, for a client that requires it",
        "seen with Gemini CLI 0.61.0",
        acting_as("gemini"),
        "client_requires_iss",
        with_metadata(authorization_response_iss_parameter_supported=True),
    ),
    Misconfiguration(
        "a home page of an unknown host",
        "seen with opencode 1.18.33",
        every(acting_as("opencode"), lambda testbed: setattr(testbed.provider, "registers", rejecting_home_pages)),
        "client_cannot_register",
        lambda testbed: setattr(testbed.provider, "registers", lambda _: (201, {})),
    ),
    Misconfiguration(
        "a client that registers without the scopes that it requests",
        "keycloak#43654",
        every(acting_as("copilot"), authorizing(_unregistered_scope)),
        "client_login_rejected",
        show_the_login_page,
    ),
    Misconfiguration(
        "a client whose port is taken",
        "boardoil#11, vscode#278512",
        every(acting_as("mcp-remote"), authorizing(_exact_redirect_uri)),
        "client_redirect_rejected",
        show_the_login_page,
    ),
    # --- tokens ------------------------------------------------------------------------------------------------------
    Misconfiguration(
        "a token for another audience", "keycloak#41526", handing(aud="account"), "token_audience", valid_token
    ),
    Misconfiguration(
        "the client id as audience",
        "claude-code#90497",
        handing(aud="client-1"),
        "token_audience",
        valid_token,
    ),
    Misconfiguration("no audience at all", "agentic-community#1132", handing(aud=...), "token_audience", valid_token),
    Misconfiguration("an audience of the provider's own", "fastmcp#3835", handing(aud="api://mcp"), "token_audience"),
    Misconfiguration(
        "a client without the scope basic",
        "meho#791",
        handing(sub=...),
        "token_subject",
        valid_token,
    ),
    Misconfiguration(
        "the internal issuer in tokens",
        "microcks#943",
        handing(iss=HIDDEN),
        "token_issuer",
        valid_token,
    ),
    Misconfiguration(
        "a token for no scope", "keycloak#43654, laravel/mcp#258", handing(scope=""), "token_scope", valid_token
    ),
    Misconfiguration(
        "an account without a role",
        "opensearch-mcp-server-py#227",
        handing(scope="", aud=...),
        "token_scope",
        valid_token,
        frozenset({"token_audience"}),
    ),
    Misconfiguration(
        "an opaque token",
        "LibreChat#13401",
        handing_text(lambda _: "v2.an-opaque-token"),
        "opaque_token",
        valid_token,
    ),
    Misconfiguration("an encrypted token", "vscode#274226", handing_text(_encrypted), "encrypted_token", valid_token),
    Misconfiguration(
        "a token signed with a shared secret", "S5", handing_text(_shared_secret), "token_algorithm", valid_token
    ),
    Misconfiguration("a token of another realm", "seen", handing_text(_of_another_realm), "token_key", valid_token),
    Misconfiguration("a forged token", "seen", handing_text(_third_party_token), "token_key", valid_token),
    Misconfiguration("the ID token", "RFC 8725", handing(typ="ID"), "token_type", valid_token),
    Misconfiguration("a token of a program", "S1", handing(sid=...), "token_without_user", valid_token),
    Misconfiguration("a token of ten years", "S4", handing(exp=NOW + 315_360_000), "token_lifetime", valid_token),
    Misconfiguration(
        "a token that ran out", "cursor#3722", handing(iat=NOW - 900, exp=NOW - 600), "token_time", valid_token
    ),
    Misconfiguration(
        "a token from the future", "seen", handing(iat=NOW + 600, exp=NOW + 900), "token_time", valid_token
    ),
    Misconfiguration("a token with a claim of the wrong kind", "RFC 7519", handing(azp=7), "token_form", valid_token),
    Misconfiguration("a token bound to its sender", "RFC 9449", handing(cnf={"jkt": "x"}), "token_sender", valid_token),
    Misconfiguration(
        "a server that refuses what its rules take",
        "claude-code#90497",
        every(valid_token, through(_forget_the_challenge)),
        "token_rejected",
        no_proxy,
        frozenset({"no_new_login"}),
    ),
    # --- accepted requests ---------------------------------------------------------------------------------------
    Misconfiguration("a server that takes any token", "spec", through(_take_any_token), "accepts_any_token", no_proxy),
    Misconfiguration(
        "403 for a token that ran out",
        "punkpeye/fastmcp#227",
        through(_forget_the_challenge),
        "no_new_login",
        no_proxy,
    ),
    Misconfiguration("tokens in the URL", "spec", through(_read_the_query), "token_in_query", no_proxy),
    # --- pages -------------------------------------------------------------------------------------------------------
    Misconfiguration(
        "Inspector's origin not allowed",
        "envoyproxy/ai-gateway#2307, inspector#571",
        setting(ALLOWED_ORIGINS="https://app.example.com"),
        "preflight",
    ),
    Misconfiguration(
        "a challenge that pages cannot read",
        "inspector#571",
        through(without_header("access-control-expose-headers")),
        "hidden_challenge",
        no_proxy,
    ),
    Misconfiguration(
        "no preflight at the provider", "keycloak#8863", no_preflight, "provider_preflight", preflights_again
    ),
    Misconfiguration("any Host", "spec", through(_accept_any_host), "any_host", no_proxy),
    Misconfiguration("any Origin", "spec", through(_accept_any_origin), "any_origin", no_proxy),
    # --- no login at all ---------------------------------------------------------------------------------------------
    Misconfiguration(
        "no login, on this machine", "spec", setting(DISABLE_AUTH="true"), "open_on_loopback", unset("DISABLE_AUTH")
    ),
    Misconfiguration(
        "no login, in public",
        "spec",
        every(behind_tls, through(_require_no_login)),
        "open",
        no_proxy,
    ),
)
