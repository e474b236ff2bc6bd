"""Broken setups: how each is staged, the complaint it stands for, what the doctor must find first, and what mends it.

`mend` does what the finding's advice says to do at somebody else's server or provider. Where it is None, the settings
or the URL that the finding names are what mends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt

from tests.support.doctor_testbed import WELL_KNOWN, Clinic, Json, Said, answering, rewriting_header, without_header
from tests.support.fake_issuer import NOW, Issuer, rsa_key

Change = Callable[[Clinic], None]
MCP = "/mcp"
PUBLIC = "https://mcp.example.com/mcp"
LOGIN = "https://login.example.com/realms/mcp"


@dataclass(frozen=True)
class Setup:
    """One broken setup. `also` are what the same cause makes the doctor find besides."""

    name: str
    complaint: str
    breaks: Change
    first: str
    mend: Change | None = None
    also: frozenset[str] = frozenset()


def setting(**variables: str) -> Change:
    return lambda clinic: clinic.env.update(variables)


def unset(*names: str) -> Change:
    def change(clinic: Clinic) -> None:
        for name in names:
            del clinic.env[name]

    return change


def called(url: str) -> Change:
    return lambda clinic: setattr(clinic, "url", url)


def through(*proxies: Any) -> Change:
    return lambda clinic: clinic.proxies.extend(proxies)


def no_proxy(clinic: Clinic) -> None:
    clinic.proxies.clear()


def saying(**members: Any) -> Change:
    """The provider's metadata says this; None takes a member out."""
    return lambda clinic: clinic.provider.document.update(members)


def handing(**claims: Any) -> Change:
    """A token with these claims is handed over; a change to `...` takes one out."""

    def change(clinic: Clinic) -> None:
        clinic.token = clinic.provider.issuer.token(**claims)

    return change


def handing_text(make: Callable[[Issuer], str]) -> Change:
    return lambda clinic: setattr(clinic, "token", make(clinic.provider.issuer))


good_token = handing()


def every(*changes: Change) -> Change:
    def change(clinic: Clinic) -> None:
        for one in changes:
            one(clinic)

    return change


def behind_tls(clinic: Clinic) -> None:
    """The server is public, behind a proxy that ends TLS, and so is its provider."""
    clinic.names = {"mcp.example.com"}
    clinic.url = PUBLIC
    clinic.provider.name(LOGIN)
    clinic.env |= {"OAUTH_SERVER_URL": LOGIN, "MCP_PUBLIC_URL": PUBLIC}


def registering(judge: Callable[[Json], tuple[int, Json]]) -> Change:
    def change(clinic: Clinic) -> None:
        clinic.register = True
        clinic.provider.registers = judge

    return change


everybody = registering(lambda _: (201, {}))


def refused(description: str, error: str = "insufficient_scope") -> tuple[int, Json]:
    return 403, {"error": error, "error_description": description}


def trusted_hosts(_: Json) -> tuple[int, Json]:
    return refused("Policy 'Trusted Hosts' rejected request to client-registration service. Details: Host not trusted.")


def client_scopes(asked: Json) -> tuple[int, Json]:
    reason = "Policy 'Allowed Client Scopes' rejected request. Details: Not permitted to use specified clientScope"
    return refused(reason) if "scope" in asked else (201, {})


def loopback_only(asked: Json) -> tuple[int, Json]:
    if all(uri.startswith("http://") for uri in asked["redirect_uris"]):
        return 201, {}
    return refused("Policy 'Trusted Hosts' rejected request. Details: URI doesn't match any trusted host")


def no_preflight(clinic: Clinic) -> None:
    clinic.provider.preflights["/realms/mcp/clients"] = Said(405)


def preflights_again(clinic: Clinic) -> None:
    clinic.provider.preflights.clear()


def _answer_any_host(request: Any, said: Said) -> None:
    if request.headers["host"] == "evil.example":
        said.status = 401


def _answer_any_origin(request: Any, said: Said) -> None:
    if request.headers.get("origin") == "https://evil.example":
        said.status = 401


def _ask_for_no_login(_: Any, said: Said) -> None:
    if said.status == 401:
        said.status = 200


def _take_any_token(request: Any, said: Said) -> None:
    if "authorization" in request.headers:
        said.status = 200


def _forget_the_challenge(request: Any, said: Said) -> None:
    if "authorization" in request.headers:
        said.status = 403
        said.headers.pop("www-authenticate", None)


def _read_the_query(request: Any, said: Said) -> None:
    if request.url.query:
        said.headers["www-authenticate"] = 'Bearer error="invalid_token"'


def _redirect(request: Any, said: Said) -> None:
    if request.url.path == MCP and request.method == "POST":
        said.status, said.headers["location"] = 308, "https://mcp.example.com/mcp"


def _provider_clock(seconds: float) -> Change:
    return lambda clinic: setattr(clinic.provider, "ahead", seconds)


def _server_clock(seconds: float) -> Change:
    return lambda clinic: setattr(clinic, "server_ahead", seconds)


def _forms(*forms: str) -> Change:
    return lambda clinic: setattr(clinic.provider, "forms", forms)


ALL_FORMS = _forms("oauth-authorization-server", "inserted", "appended")
HIDDEN = "http://keycloak:8080/realms/mcp"
DOCUMENT = f"{WELL_KNOWN}{MCP}"
ROOT_ONLY = (
    answering(DOCUMENT, 404),
    rewriting_header("www-authenticate", f"{WELL_KNOWN}/mcp", WELL_KNOWN),
)


def _encrypted(_: Issuer) -> str:
    return "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y2lwaGVy.dGFn"


def _shared_secret(issuer: Issuer) -> str:
    return jwt.encode(issuer.claims(), "x" * 32, algorithm="HS256", headers={"kid": "one"})


def _by_a_stranger(issuer: Issuer) -> str:
    return issuer.token(key=rsa_key("stranger"))


def _of_another_realm(issuer: Issuer) -> str:
    return issuer.token(key=rsa_key("stranger"), kid="of-another-realm")


SETUPS = (
    # --- the URL -----------------------------------------------------------------------------------------------------
    Setup("a slash at the end of the URL", "python-sdk#1052", called("http://localhost:3000/mcp/"), "not_here"),
    Setup("127.0.0.1 for localhost", "python-sdk#1264", called("http://127.0.0.1:3000/mcp"), "other_resource"),
    Setup(
        "a public server that believes it is local",
        "nextcloud-mcp-server#373, awslabs/mcp#4507",
        every(behind_tls, unset("MCP_PUBLIC_URL")),
        "host_refused",
    ),
    Setup("a redirect", "cursor#3722", every(behind_tls, through(_redirect)), "redirected", no_proxy),
    Setup(
        "http behind a TLS proxy, in the challenge",
        "mesh-mcp#20",
        every(behind_tls, through(rewriting_header("www-authenticate", "https://", "http://"))),
        "metadata_url_wrong",
        no_proxy,
    ),
    Setup(
        "http behind a TLS proxy, in the metadata",
        "agentic-community#219",
        every(behind_tls, through(answering(DOCUMENT, 200, resource="http://mcp.example.com/mcp"))),
        "other_resource",
        no_proxy,
        frozenset({"two_versions"}),
    ),
    Setup("an error of the proxy", "seen", through(answering(MCP, 502)), "fails", no_proxy),
    Setup("403 in place of 401", "spec", through(answering(MCP, 403)), "forbids", no_proxy),
    # --- the challenge -----------------------------------------------------------------------------------------------
    Setup(
        "a proxy that takes WWW-Authenticate away",
        "python-sdk#1400",
        through(without_header("www-authenticate")),
        "challenge_missing",
        no_proxy,
        frozenset({"no_new_login"}),
    ),
    Setup(
        "an error for missing credentials",
        "python-sdk#3103",
        through(rewriting_header("www-authenticate", "Bearer resource", 'Bearer error="invalid_token", resource')),
        "challenge_error",
        no_proxy,
    ),
    Setup(
        "no scope in the challenge",
        "python-sdk#3103",
        through(rewriting_header("www-authenticate", "scope=", "realm=")),
        "scope_not_named",
        no_proxy,
    ),
    Setup(
        "no resource_metadata in the challenge",
        "MCP 2025-06-18",
        through(rewriting_header("www-authenticate", "resource_metadata=", "realm=")),
        "metadata_not_named",
        no_proxy,
    ),
    # --- the metadata ------------------------------------------------------------------------------------------------
    Setup(
        "no RFC 9728 document",
        "mcp-remote#128",
        through(answering(DOCUMENT, 404), answering(WELL_KNOWN, 404)),
        "document_missing",
        no_proxy,
    ),
    Setup("the document at the root only", "python-sdk#1052", through(*ROOT_ONLY), "not_at_path", no_proxy),
    Setup("the document not at the root", "seen", through(answering(WELL_KNOWN, 404)), "not_at_root", no_proxy),
    Setup(
        "two documents",
        "seen",
        through(answering(WELL_KNOWN, 200, scopes_supported=["everything"])),
        "two_versions",
        no_proxy,
    ),
    Setup(
        "no authorization server",
        "spec",
        through(*(answering(path, 200, authorization_servers=[]) for path in (DOCUMENT, WELL_KNOWN))),
        "no_issuer",
        no_proxy,
    ),
    Setup(
        "the provider named as containers reach it",
        "microcks#943",
        setting(OAUTH_SERVER_URL=HIDDEN),
        "hidden_issuer",
    ),
    Setup(
        "an http provider of a public server",
        "keycloak#25350",
        every(
            behind_tls,
            through(
                *(answering(p, 200, authorization_servers=["http://login.example.com"]) for p in (DOCUMENT, WELL_KNOWN))
            ),
        ),
        "clear_issuer",
        no_proxy,
    ),
    Setup(
        "offline_access in the challenge",
        "claude-code#41610",
        through(rewriting_header("www-authenticate", "mcp:tools", "mcp:tools offline_access")),
        "offline_access_advertised",
        no_proxy,
    ),
    # --- the provider ------------------------------------------------------------------------------------------------
    Setup(
        "a slash that the issuer does not have",
        "fastmcp#1431",
        setting(OAUTH_SERVER_URL="http://localhost:8080/realms/mcp/"),
        "other_issuer",
    ),
    Setup(
        "no slash where the issuer has one",
        "inspector#566",
        every(
            lambda clinic: clinic.provider.name("http://localhost:8080/"),
            setting(OAUTH_SERVER_URL="http://localhost:8080", OAUTH_PROVIDER="keycloak"),
        ),
        "other_issuer",
    ),
    Setup(
        "an issuer that follows the caller",
        "microcks#943, NikiforovAll#115",
        saying(issuer=HIDDEN),
        "hidden_provider_issuer",
        saying(issuer="http://localhost:8080/realms/mcp"),
    ),
    Setup(
        "an endpoint that only containers know",
        "NikiforovAll#144",
        saying(token_endpoint=f"{HIDDEN}/protocol/openid-connect/token"),
        "hidden_endpoint",
        lambda clinic: clinic.provider.name("http://localhost:8080/realms/mcp"),
    ),
    Setup(
        "an http endpoint of an https provider",
        "keycloak#25350",
        every(behind_tls, saying(token_endpoint="http://login.example.com/token")),
        "clear_endpoint",
        lambda clinic: clinic.provider.name(LOGIN),
    ),
    Setup(
        "no token endpoint",
        "RFC 8414",
        saying(token_endpoint=None),
        "endpoint_missing",
        lambda clinic: clinic.provider.name("http://localhost:8080/realms/mcp"),
    ),
    Setup(
        "no S256",
        "csharp-sdk#648",
        saying(code_challenge_methods_supported=None),
        "no_pkce",
        saying(code_challenge_methods_supported=["S256"]),
    ),
    Setup(
        "PKCE with plain only",
        "spec",
        saying(code_challenge_methods_supported=["plain"]),
        "no_pkce",
        saying(code_challenge_methods_supported=["plain", "S256"]),
    ),
    Setup("only openid-configuration", "keycloak#29627", _forms("appended"), "only_openid_configuration", ALL_FORMS),
    Setup("a wrong realm", "keycloak#40923", _forms(), "provider_metadata_missing", ALL_FORMS),
    Setup(
        "the provider is down",
        "claude-ai-mcp#385",
        setting(OAUTH_SERVER_URL="http://localhost:8088/realms/mcp"),
        "provider_unreachable",
        unset("OAUTH_SERVER_URL"),
    ),
    Setup(
        "scopes that the realm does not have",
        "agentic-community#1143",
        saying(scopes_supported=["openid", "mcp:tools"]),
        "unknown_scopes",
        saying(scopes_supported=["mcp:tools", "mcp:notes.read", "mcp:notes.write"]),
    ),
    Setup(
        "keys that verify nothing",
        "seen",
        lambda clinic: setattr(clinic.provider.issuer, "keys", [{"kty": "oct", "k": "c2VjcmV0"}]),
        "cannot_ask",
        lambda clinic: setattr(clinic.provider.issuer, "keys", Issuer().keys),
        frozenset({"no_keys"}),
    ),
    Setup(
        "the server cannot reach the provider",
        "microcks#943",
        setting(OAUTH_INTERNAL_URL="http://other:8080/realms/mcp"),
        "cannot_ask",
        setting(OAUTH_INTERNAL_URL=HIDDEN),
    ),
    # --- clocks ------------------------------------------------------------------------------------------------------
    Setup("the server's clock 10 minutes behind", "seen", _server_clock(-600), "clocks_apart", _server_clock(0)),
    Setup("the provider's clock 10 minutes ahead", "seen", _provider_clock(600), "clocks_apart", _provider_clock(0)),
    Setup(
        "the clock here 10 minutes behind",
        "seen",
        every(_provider_clock(600), _server_clock(601)),
        "clock_here",
        every(_provider_clock(0), _server_clock(0)),
    ),
    # --- registration ------------------------------------------------------------------------------------------------
    Setup(
        "no way to register",
        "vscode#252892",
        saying(registration_endpoint=None),
        "no_registration",
        saying(client_id_metadata_document_supported=True),
        frozenset({"only_documents"}),
    ),
    Setup(
        "metadata documents only, and no public clients",
        "keycloak#44403, fastmcp#4600",
        saying(
            registration_endpoint=None,
            client_id_metadata_document_supported=True,
            token_endpoint_auth_methods_supported=["client_secret_basic"],
        ),
        "no_public_clients",
        saying(token_endpoint_auth_methods_supported=["client_secret_basic", "none"]),
        frozenset({"only_documents"}),
    ),
    Setup(
        "Trusted Hosts refuses everybody",
        "opensearch-mcp-server-py#227, open-liberty#35062",
        registering(trusted_hosts),
        "registration_refused",
        everybody,
    ),
    Setup(
        "a scope that may not be registered", "keycloak#43654", registering(client_scopes), "client_refused", everybody
    ),
    Setup("redirects to vendors refused", "vscode#278512", registering(loopback_only), "client_refused", everybody),
    Setup(
        "registrations that cannot be removed",
        "agentic-community#1119",
        registering(lambda _: (201, {"registration_client_uri": None})),
        "left_behind",
        everybody,
    ),
    # --- tokens ------------------------------------------------------------------------------------------------------
    Setup("a token for another audience", "keycloak#41526", handing(aud="account"), "token_audience", good_token),
    Setup(
        "the client id as audience",
        "claude-code#90497",
        handing(aud="client-1"),
        "token_audience",
        good_token,
    ),
    Setup("no audience at all", "agentic-community#1132", handing(aud=...), "token_audience", good_token),
    Setup("an audience of the provider's own", "fastmcp#3835", handing(aud="api://mcp"), "token_audience"),
    Setup(
        "a client without the scope basic",
        "meho#791",
        handing(sub=...),
        "token_subject",
        good_token,
    ),
    Setup(
        "the internal issuer in tokens",
        "microcks#943",
        handing(iss=HIDDEN),
        "token_issuer",
        good_token,
    ),
    Setup("a token for no scope", "keycloak#43654, laravel/mcp#258", handing(scope=""), "token_scope", good_token),
    Setup(
        "an account without a role",
        "opensearch-mcp-server-py#227",
        handing(scope="", aud=...),
        "token_scope",
        good_token,
        frozenset({"token_audience"}),
    ),
    Setup(
        "an opaque token",
        "LibreChat#13401",
        handing_text(lambda _: "v2.an-opaque-token"),
        "opaque_token",
        good_token,
    ),
    Setup("an encrypted token", "vscode#274226", handing_text(_encrypted), "encrypted_token", good_token),
    Setup("a token signed with a shared secret", "S5", handing_text(_shared_secret), "token_algorithm", good_token),
    Setup("a token of another realm", "seen", handing_text(_of_another_realm), "token_key", good_token),
    Setup("a forged token", "seen", handing_text(_by_a_stranger), "token_key", good_token),
    Setup("the ID token", "RFC 8725", handing(typ="ID"), "token_type", good_token),
    Setup("a token of a program", "S1", handing(sid=...), "token_without_person", good_token),
    Setup("a token of ten years", "S4", handing(exp=NOW + 315_360_000), "token_lifetime", good_token),
    Setup("a token that ran out", "cursor#3722", handing(iat=NOW - 900, exp=NOW - 600), "token_time", good_token),
    Setup("a token from the future", "seen", handing(iat=NOW + 600, exp=NOW + 900), "token_time", good_token),
    Setup("a token with a claim of the wrong kind", "RFC 7519", handing(azp=7), "token_form", good_token),
    Setup("a token bound to its sender", "RFC 9449", handing(cnf={"jkt": "x"}), "token_sender", good_token),
    Setup(
        "a server that refuses what its rules take",
        "claude-code#90497",
        every(good_token, through(_forget_the_challenge)),
        "token_refused_anyhow",
        no_proxy,
        frozenset({"no_new_login"}),
    ),
    # --- what the server takes ---------------------------------------------------------------------------------------
    Setup("a server that takes any token", "spec", through(_take_any_token), "takes_anything", no_proxy),
    Setup(
        "403 for a token that ran out",
        "punkpeye/fastmcp#227",
        through(_forget_the_challenge),
        "no_new_login",
        no_proxy,
    ),
    Setup("tokens in the URL", "spec", through(_read_the_query), "token_in_query", no_proxy),
    # --- pages -------------------------------------------------------------------------------------------------------
    Setup(
        "Inspector's origin not allowed",
        "envoyproxy/ai-gateway#2307, inspector#571",
        setting(ALLOWED_ORIGINS="https://app.example.com"),
        "preflight",
    ),
    Setup(
        "a challenge that pages cannot read",
        "inspector#571",
        through(without_header("access-control-expose-headers")),
        "hidden_challenge",
        no_proxy,
    ),
    Setup("no preflight at the provider", "keycloak#8863", no_preflight, "provider_preflight", preflights_again),
    Setup("any Host", "spec", through(_answer_any_host), "any_host", no_proxy),
    Setup("any Origin", "spec", through(_answer_any_origin), "any_origin", no_proxy),
    # --- no login at all ---------------------------------------------------------------------------------------------
    Setup("no login, on this machine", "spec", setting(DISABLE_AUTH="true"), "open_here", unset("DISABLE_AUTH")),
    Setup(
        "no login, in public",
        "spec",
        every(behind_tls, through(_ask_for_no_login)),
        "open",
        no_proxy,
    ),
)
