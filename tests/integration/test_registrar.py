"""Registrations through the compose stack: Caddy, the registrar and a real Keycloak, and the logins that follow."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest

from mcp_idp.testing.corpus.registrations import LOOPBACK, REGISTRATIONS
from tests.client_compat.malicious_registrations import EVIL, REJECTED
from tests.client_compat.narrowed_registrations import NARROWED
from tests.support.compose_stack import greeting
from tests.support.keycloak.anonymous_clients import NATIVE
from tests.support.keycloak.realm import REDIRECT, Keycloak, Realm, claims, pkce_pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.compose_stack import Stack

pytestmark = pytest.mark.containers
FIRST, UNION = "mcp:tools mcp:notes.read", "mcp:tools mcp:notes.read mcp:notes.write"
# What made Keycloak refuse programs that people use, one member each.
REFUSED_BY_KEYCLOAK: dict[str, dict[str, Any]] = {
    "opencode": {"client_uri": "https://opencode.ai", "redirect_uris": ["http://127.0.0.1:19876/mcp/oauth/callback"]},
    "Qwen Code": {"code_challenge_method": ["S256"]},
    "a logo": {"logo_uri": "https://example.com/logo.png"},
    "terms": {"tos_uri": "https://example.com/tos", "policy_uri": "https://example.com/policy"},
    "a grant that nobody offers": {
        "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
    },
    "a scope of another server": {"scope": "mcp:tools profile:read"},
    "a long name": {"client_name": "\U0001f600" * 200},
}


@pytest.fixture
def realm(stack: Stack, tmp_path: Path) -> Realm:
    return Realm(Keycloak(f"http://localhost:{stack.keycloak_port}", ""), tmp_path, "mcp")


def endpoint(realm: Realm) -> str:
    return f"{realm.issuer}/clients-registrations/openid-connect"


def call(stack: Stack, token: str, tool: str = "greet", **arguments: str) -> httpx.Response:
    request = greeting(token)
    request["json"]["params"] |= {"name": tool, "arguments": arguments or {"name": "Ada"}}
    request["headers"]["mcp-name"] = tool
    return httpx.post(stack.url, **request, timeout=30)


def log_in_without_scope(realm: Realm, user: str, client_id: str) -> dict[str, Any]:
    verifier, pkce = pkce_pair()
    back = realm.authorize(user, client_id=client_id, **pkce)
    form = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": REDIRECT}
    return realm.token(client_id=client_id, code_verifier=verifier, **form)


def exchange(stack: Stack, head: bytes, body: bytes) -> bytes:
    """Sends bytes to the public port and returns the status line."""
    with socket.create_connection(("127.0.0.1", stack.keycloak_port), timeout=30) as connection:
        connection.sendall(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body)
        return connection.makefile("rb").readline()


@pytest.mark.requirement("registrar.dropped")
@pytest.mark.parametrize("name", REFUSED_BY_KEYCLOAK)
def test_a_client_that_keycloak_alone_refuses_registers_and_deletes_itself(realm: Realm, name: str) -> None:
    registered = realm.register(**{**NATIVE, **REFUSED_BY_KEYCLOAK[name]})
    assert registered["status"] == 201, registered
    uri = registered["registration_client_uri"]
    assert uri == f"{endpoint(realm)}/{registered['client_id']}"
    headers = {"Authorization": f"Bearer {registered['registration_access_token']}"}
    assert httpx.delete(uri, headers=headers, timeout=30).status_code == 204


@pytest.mark.requirement("registrar.dropped")
@pytest.mark.parametrize(("user", "tool"), [("writer", "note_add"), ("admin", "note_count")])
def test_a_client_that_registered_itself_steps_up(stack: Stack, realm: Realm, user: str, tool: str) -> None:
    client = realm.register(redirect_uris=[REDIRECT], scope=FIRST)["client_id"]
    arguments = {"text": "stepped up"} if tool == "note_add" else {}
    refused = call(stack, realm.log_in(user, client, scope=FIRST)["access_token"], tool, **arguments)
    assert refused.status_code == 403
    challenge = refused.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    needed = challenge.split('scope="')[1].split('"')[0]
    union = " ".join(dict.fromkeys([*FIRST.split(), *needed.split()]))
    token = realm.log_in(user, client, scope=union)["access_token"]
    assert set(needed.split()) <= set(claims(token)["scope"].split())
    assert call(stack, token, tool, **arguments).status_code == 200


@pytest.mark.requirement("bootstrap.default_scope")
@pytest.mark.parametrize("user", ["reader", "writer", "admin"])
def test_a_login_without_scope_asks_for_consent_and_yields_a_usable_token(
    stack: Stack, realm: Realm, user: str
) -> None:
    client = realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")["client_id"]
    query = {"response_type": "code", "redirect_uri": REDIRECT, "client_id": client, **pkce_pair()[1]}
    page = realm.browser(user, agree=False).go(
        f"{realm.issuer}/protocol/openid-connect/auth?{urlencode(query)}", REDIRECT
    )
    assert "Use the tools of this server" in page["page"]
    token = log_in_without_scope(realm, user, client)["access_token"]
    assert (claims(token)["aud"], claims(token)["scope"]) == (stack.url, "mcp:tools")
    assert call(stack, token).status_code == 200


@pytest.mark.requirement("jwt.no_audience")
@pytest.mark.parametrize("scope", ["", UNION])
def test_an_account_without_a_role_ends_with_403_and_no_challenge(stack: Stack, realm: Realm, scope: str) -> None:
    client = realm.register(redirect_uris=[REDIRECT], scope="mcp:tools")["client_id"]
    response = realm.log_in("nobody", client, scope=scope) if scope else log_in_without_scope(realm, "nobody", client)
    assert "aud" not in claims(response["access_token"])
    refreshed = realm.token(grant_type="refresh_token", client_id=client, refresh_token=response["refresh_token"])
    for token in (response["access_token"], refreshed["access_token"]):
        refused = call(stack, token)
        assert refused.status_code == 403
        assert "www-authenticate" not in refused.headers
        assert "may have no role here" in refused.json()["error"]["message"]


@pytest.mark.requirement("weaknesses.s1")
def test_a_client_without_a_user_gets_no_token(realm: Realm) -> None:
    """S1: the base scope is a default scope, and still bound to roles."""
    metadata = {**NATIVE, "token_endpoint_auth_method": "client_secret_post"}
    refused = realm.register(**{**metadata, "grant_types": ["client_credentials"]})
    assert (refused["status"], refused["error"]) == (400, "invalid_client_metadata")
    client = realm.register(**{**metadata, "grant_types": ["authorization_code", "client_credentials"]})
    form = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    assert "access_token" not in realm.token(grant_type="client_credentials", **form)


@pytest.mark.requirement("registrar.portless")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_loopback_client_may_come_back_at_another_port_and_nowhere_else(realm: Realm, host: str) -> None:
    client = realm.register(redirect_uris=[f"http://{host}:7001/callback"])["client_id"]
    for port in (7001, 7002):
        uri = f"http://{host}:{port}/callback"
        assert "access_token" in realm.log_in("reader", client, scope="mcp:tools", redirect_uri=uri)
    others = {"localhost", "127.0.0.1", "[::1]"} - {host}
    for uri in (
        *(f"http://{other}:7002/callback" for other in sorted(others)),
        f"http://{host}:7002/other",
        f"http://{host}:7002/callback?a=b",
        f"https://{host}:7002/callback",
        f"http://{host}:7002@evil.example/callback",
        f"http://{host}:80.evil.example/callback",
        f"http://user@{host}:7002/callback",
        "https://evil.example/callback",
    ):
        assert (
            "Invalid parameter: redirect_uri"
            in realm.log_in("reader", client, scope="mcp:tools", redirect_uri=uri)["page"]
        )


@pytest.mark.requirement("registrar.hostile")
@pytest.mark.parametrize("hostile", [*REJECTED, *NARROWED], ids=lambda row: row.name)
def test_no_hostile_registration_gets_more_than_the_known_rules_allow(realm: Realm, hostile: Any) -> None:
    response = httpx.post(
        endpoint(realm), content=hostile.body, headers={"content-type": "application/json"}, timeout=60
    )
    assert response.status_code < 500
    if response.status_code == 201:
        assert "evil" not in response.text.replace(EVIL, "evil")
        assert {uri.partition("://")[0] for uri in response.json()["redirect_uris"]} == {"http"}


@pytest.mark.requirement("registrar.hostile")
@pytest.mark.parametrize("row", [row for row in REGISTRATIONS if not row.headers], ids=lambda row: row.name)
def test_what_aims_at_the_registrar_gets_no_further_behind_caddy(realm: Realm, row: Any) -> None:
    headers = [(b"content-type", one) for one in row.types]
    response = httpx.post(endpoint(realm), content=row.body, headers=headers, timeout=60)
    assert response.status_code == (row.refused[0] if row.refused else 201), response.text
    assert "evil" not in response.text


_JSON = b'{"redirect_uris":["http://127.0.0.1:7001/callback"],"logo_uri":"https://evil.example/logo.png"}'
_HEAD = "POST {target} HTTP/1.1\nHost: localhost:{port}\nConnection: close\nContent-Type: application/json"


@pytest.mark.requirement("registrar.hostile")
@pytest.mark.parametrize(
    ("target", "statuses"),
    [
        ("{path}", {201}),
        ("{path}/", {201}),
        ("http://localhost:{port}{path}", {201}),
        ("{path}?a=b", {201}),
        ("{path}//", {400, 403, 404}),
        ("/{path}", {400, 403, 404}),
        ("/realms/./mcp/clients-registrations/openid-connect", {400, 403, 404}),
        ("/realms/x/../mcp/clients-registrations/openid-connect", {400, 403, 404}),
        ("/realms/mcp/clients%2Dregistrations/openid-connect", {400, 403, 404, 201}),
        ("/realms/mcp/clients-registrations/openid-connect;a=b", {400, 403, 404}),
        ("/realms/mcp/clients-registrations/OpenID-Connect", {400, 403, 404, 201}),
        ("/realms/mcp/clients-registrations/default", {404}),
    ],
)
def test_no_spelling_of_the_path_gets_around_the_rules(
    stack: Stack, realm: Realm, target: str, statuses: set[int]
) -> None:
    """A spelling that misses the registrar reaches Keycloak, which refuses the logo by itself."""
    path = endpoint(realm).partition(str(stack.keycloak_port))[2]
    spelled = target.format(path=path, port=stack.keycloak_port)
    head = _HEAD.format(target=spelled, port=stack.keycloak_port) + f"\nContent-Length: {len(_JSON)}"
    assert int(exchange(stack, head.encode(), _JSON).split()[1]) in statuses


@pytest.mark.requirement("registrar.hostile")
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (f"Content-Length: {len(_JSON)}\nTransfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(_JSON), _JSON)),
        ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(_JSON), _JSON)),
        (f"Content-Length: {len(_JSON)}\nTransfer-Encoding: xchunked", _JSON),
        (f"Content-Length: {len(_JSON)}\nContent-Length: 1", _JSON),
        (f"Content-Length: +{len(_JSON)}", _JSON),
        (f"Content-Length: {len(_JSON)}\nContent-Encoding: gzip", _JSON),
    ],
)
def test_no_ambiguous_framing_registers_a_client(stack: Stack, realm: Realm, framing: str, body: bytes) -> None:
    path = endpoint(realm).partition(str(stack.keycloak_port))[2]
    head = _HEAD.format(target=path, port=stack.keycloak_port) + "\n" + framing
    assert int(exchange(stack, head.encode(), body).split()[1]) in {400, 411, 415, 501}


@pytest.mark.requirement("registrar.hostile")
def test_a_slow_body_ends_without_holding_the_registrar(stack: Stack, realm: Realm) -> None:
    path = endpoint(realm).partition(str(stack.keycloak_port))[2]
    head = _HEAD.format(target=path, port=stack.keycloak_port) + "\nContent-Length: 2000"
    with socket.create_connection(("127.0.0.1", stack.keycloak_port), timeout=90) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + _JSON)
        assert realm.register(redirect_uris=[LOOPBACK])["status"] == 201
        line = connection.makefile("rb").readline()
    assert not line or int(line.split()[1]) in {400, 408, 502, 503, 504}


@pytest.mark.requirement("registrar.cors")
@pytest.mark.parametrize(
    ("origin", "status"), [("http://localhost:6274", 201), ("http://evil.example", 403), ("null", 403)]
)
def test_web_pages_register_as_keycloak_allows(realm: Realm, origin: str, status: int) -> None:
    response = httpx.post(endpoint(realm), json={"redirect_uris": [LOOPBACK]}, headers={"origin": origin}, timeout=60)
    assert response.status_code == status
    assert response.headers.get("access-control-allow-origin") == (origin if status == 201 else None)
    preflight = {"origin": origin, "access-control-request-method": "POST"}
    assert httpx.options(endpoint(realm), headers=preflight, timeout=60).status_code == 200


@pytest.mark.requirement("registrar.forwarded")
def test_a_used_up_or_invented_initial_access_token_is_refused(realm: Realm) -> None:
    assert realm.post_client("openid-connect", {"redirect_uris": [LOOPBACK]}, "garbage")["status"] == 401


ORIGIN_FORMS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


@pytest.mark.parametrize("path", [*ORIGIN_FORMS, f"{ORIGIN_FORMS[0]}?realm=master&x=%2e%2e%2f"])
def test_clients_that_look_at_the_origin_find_the_realm_s_metadata(realm: Realm, path: str) -> None:
    origin = realm.issuer.removesuffix("/realms/mcp")
    found = httpx.get(f"{origin}{path}", timeout=30)
    assert found.status_code == 200
    assert found.json() == httpx.get(f"{realm.issuer}/.well-known/openid-configuration", timeout=30).json()
    assert found.json()["issuer"] == realm.issuer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", path) for path in ORIGIN_FORMS),
        ("GET", f"{ORIGIN_FORMS[1]}/"),
        ("GET", f"{ORIGIN_FORMS[1]}/realms/mcp"),
        ("GET", f"{ORIGIN_FORMS[1]}/../admin"),
        ("GET", f"{ORIGIN_FORMS[1]}%2frealms"),
        ("GET", "/.well-known/oauth-protected-resource"),
    ],
)
def test_nothing_else_is_served_at_the_origin(realm: Realm, method: str, path: str) -> None:
    origin = realm.issuer.removesuffix("/realms/mcp")
    assert httpx.request(method, f"{origin}{path}", timeout=30).status_code >= 400


@pytest.mark.parametrize("ending", ["/", "/mcp/", "/mcp"])
def test_the_spelling_of_resource_does_not_change_the_audience(stack: Stack, realm: Realm, ending: str) -> None:
    """Clients send `resource` with or without a trailing slash; Keycloak's mapper decides the audience."""
    resource = stack.url.removesuffix("/mcp") + ending
    client = realm.register(**NATIVE)
    verifier, pkce = pkce_pair()
    back = realm.authorize("reader", client_id=client["client_id"], scope=FIRST, resource=resource, **pkce)
    form = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": REDIRECT, "resource": resource}
    given = realm.token(client_id=client["client_id"], code_verifier=verifier, **form)
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"], "resource": resource}
    refreshed = realm.token(client_id=client["client_id"], **refresh)
    for token in (given["access_token"], refreshed["access_token"]):
        assert claims(token)["aud"] == stack.url
        assert call(stack, token).status_code == 200
