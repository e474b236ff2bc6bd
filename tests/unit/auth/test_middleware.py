"""The auth middleware as a black box: requests, responses and log lines."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mcp_idp.access.policy import load_access
from mcp_idp.auth.challenge import ChallengeBuilder
from mcp_idp.auth.decisions import DecisionRecorder
from mcp_idp.auth.middleware import AuthMiddleware
from mcp_idp.auth.scopes import ScopeRequirements
from mcp_idp.config.settings import Settings
from mcp_idp.http.transport_security import TransportSecurity
from mcp_idp.http_server.limits import MAX_BODY_BYTES
from mcp_idp.principal import Principal
from mcp_idp.testing.corpus.model import BOTH
from mcp_idp.testing.issuer import Issuer, rsa_key
from mcp_idp.util.request_memory import RequestMemory
from tests.support.app import running
from tests.support.asgi_requests import OpenRequest
from tests.support.challenges import challenge

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp

    from mcp_idp.auth.middleware import Verify

pytestmark = pytest.mark.anyio

METADATA_URL = "http://localhost:3000/.well-known/oauth-protected-resource/mcp"
LOGIN_SCOPES = "mcp:tools mcp:notes.read mcp:notes.write"


@pytest.mark.requirement("auth.missing_token")
async def test_a_request_without_credentials_is_challenged_without_an_error_code() -> None:
    async with running() as server:
        response = await server.post()
    assert response.status_code == 401
    assert challenge(response) == {"resource_metadata": METADATA_URL, "scope": LOGIN_SCOPES}
    assert response.json()["error"] == "missing_authorization"


@pytest.mark.requirement("auth.other_scheme")
@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "DPoP abc", "bearerabc", "", " "])
async def test_another_scheme_counts_as_no_credentials(value: str) -> None:
    async with running() as server:
        response = await server.post(authorization=value)
    assert response.status_code == 401
    assert "error" not in challenge(response)


@pytest.mark.requirement("auth.malformed")
@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Bearer a, Bearer b", "bearer a b", "Bearer a,b", "Bearer a\tb"]
)
async def test_malformed_credentials_are_a_bad_request_with_the_challenge(value: str) -> None:
    async with running() as server:
        response = await server.post(authorization=value)
    assert response.status_code == 400
    assert challenge(response) == {"error": "invalid_request", "resource_metadata": METADATA_URL, "scope": LOGIN_SCOPES}


@pytest.mark.requirement("auth.malformed")
async def test_two_authorization_headers_are_a_bad_request_even_if_one_is_good() -> None:
    async with running() as server:
        good = ("authorization", f"Bearer {server.issuer.token()}")
        response = await server.client.post("/mcp", headers=[good, good], json={})
    assert response.status_code == 400


@pytest.mark.requirement("auth.invalid_token")
async def test_all_tokens_that_do_not_verify_get_the_same_response() -> None:
    issuer = Issuer()
    bad = [issuer.token(aud="http://other"), issuer.token(exp=1), issuer.token(key=rsa_key("foreign")), "junk", "a.b.c"]
    async with running(issuer) as server:
        responses = [await server.post(token) for token in bad]
    assert {response.status_code for response in responses} == {401}
    assert all(challenge(r)["error"] == "invalid_token" for r in responses)
    bodies = [response.json() for response in responses]
    assert len({body.pop("correlation_id") for body in bodies}) == len(bad)
    assert bodies[1:] == bodies[:-1]
    assert bodies[0]["error_description"].endswith("your account may have no role here.")


@pytest.mark.requirement("auth.correlation_id", "auth.invalid_token")
async def test_the_log_has_expected_and_actual_values_under_the_correlation_id_of_the_response() -> None:
    async with running() as server:
        with capture_logs() as lines:
            response = await server.post(server.issuer.token(aud="http://other"))
    (line,) = [line for line in lines if line["event"] == "request_rejected"]
    assert line["reason"] == "audience"
    assert "http://localhost:3000/mcp" in line["expected"]
    assert "http://other" in line["got"]
    assert line["correlation_id"] == response.json()["correlation_id"]


@pytest.mark.requirement("auth.no_token_in_log")
async def test_no_log_line_holds_a_token_whatever_is_wrong_with_it() -> None:
    issuer = Issuer()
    tokens = [
        issuer.token(),
        issuer.token(aud="http://other"),
        issuer.token(kid="unknown"),
        issuer.token(key=rsa_key("foreign")),
        issuer.token()[:-20],
        "x" * 20_000,
        "opaque-token-with-some-length",
    ]
    async with running(issuer) as server:
        with capture_logs() as lines:
            for token in tokens:
                await server.post(token)
    written = json.dumps(lines, default=repr)
    assert not [token for token in tokens if token[-40:] in written]


@pytest.mark.requirement("auth.header_only")
async def test_a_token_in_query_body_or_another_header_is_no_credentials() -> None:
    async with running() as server:
        token = server.issuer.token()
        responses = [
            await server.client.post(f"/mcp?access_token={token}"),
            await server.client.post("/mcp", headers={"cookie": f"access_token={token}"}),
            await server.client.post("/mcp", data={"access_token": token}),
            await server.client.post("/mcp", json={"token": token}),
            *[
                await server.client.post("/mcp", headers={name: f"Bearer {token}"})
                for name in ("cookie", "proxy-authorization", "x-forwarded-access-token", "x-authorization")
            ],
        ]
    assert {response.status_code for response in responses} == {401}
    assert all("error" not in challenge(response) for response in responses)


@pytest.mark.requirement("auth.insufficient_scope")
async def test_a_token_without_the_base_scope_gets_a_challenge_that_names_it() -> None:
    async with running() as server:
        response = await server.post(server.issuer.token(scope="openid", mcp_roles=...))
    assert response.status_code == 403
    assert challenge(response) == {
        "error": "insufficient_scope",
        "resource_metadata": METADATA_URL,
        "scope": "mcp:tools",
    }


@pytest.mark.requirement("auth.insufficient_role")
async def test_a_user_without_a_role_gets_its_name_and_no_challenge() -> None:
    async with running() as server:
        response = await server.post(server.issuer.token(scope="openid", mcp_roles=["guest"]))
    assert response.status_code == 403
    assert "www-authenticate" not in response.headers
    error = response.json()["error"]
    assert error["data"]["error"] == "insufficient_role"
    assert "mcp-reader" in error["message"]


@pytest.mark.requirement("scopes.hierarchy")
@pytest.mark.parametrize(("scope", "status"), [("mcp:admin", 200), ("mcp:notes.read", 200), ("mcp:adminx", 403)])
async def test_a_broader_scope_is_sufficient_for_the_base_scope(scope: str, status: int) -> None:
    async with running() as server:
        response = await server.post(server.issuer.token(scope=scope))
    assert response.status_code == status


@pytest.mark.requirement("auth.provider_unavailable")
async def test_an_unreachable_provider_is_503_for_unknown_tokens_and_nothing_for_known_ones() -> None:
    issuer = Issuer()
    async with running(issuer) as server:
        known = issuer.token()
        assert (await server.post(known)).status_code == 200
        issuer.down = True
        server.clock.forward(10)
        unknown = await server.post(issuer.token(kid="rotated"))
        still_known = await server.post(known)
        same_key = await server.post(issuer.token(sub="somebody-else"))
    assert (unknown.status_code, still_known.status_code, same_key.status_code) == (503, 200, 200)
    assert int(unknown.headers["retry-after"]) > 0
    assert "www-authenticate" not in unknown.headers


@pytest.mark.requirement("auth.every_method")
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"])
async def test_no_method_passes_without_a_token(method: str) -> None:
    async with running() as server:
        response = await server.client.request(method, "/mcp", headers={"mcp-session-id": "0" * 32})
    assert response.status_code == 401


@pytest.mark.requirement("transport_security.origin")
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost.evil.example", "file://", "http://localhost:3000@evil"]
)
async def test_an_untrusted_origin_is_rejected_even_with_a_valid_token(origin: str) -> None:
    async with running() as server:
        response = await server.post(server.issuer.token(), origin=origin)
        preflight = await server.client.options(
            "/mcp", headers={"origin": origin, "access-control-request-method": "POST"}
        )
    assert (response.status_code, preflight.status_code) == (403, 403)
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.requirement("transport_security.cors", "transport_security.origin")
@pytest.mark.parametrize(
    "origin", ["http://localhost:6274", "http://127.0.0.1:6274", "http://[::1]:1", "http://localhost:3000"]
)
async def test_every_response_to_an_allowed_origin_can_be_read_by_its_page(origin: str) -> None:
    async with running() as server:
        responses = [
            await server.post(origin=origin),
            await server.post("junk", origin=origin),
            await server.post(server.issuer.token(), origin=origin),
            await server.post(server.issuer.token(scope=""), origin=origin),
        ]
    for response in responses:
        assert response.headers.get_list("access-control-allow-origin") == [origin]
        assert response.headers["vary"] == "Origin"
        assert "WWW-Authenticate" in response.headers["access-control-expose-headers"]
        assert "Mcp-Session-Id" in response.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.requirement("transport_security.preflight")
async def test_a_preflight_requires_no_token() -> None:
    async with running() as server:
        response = await server.client.options(
            "/mcp",
            headers={
                "origin": "http://localhost:6274",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type,mcp-protocol-version",
            },
        )
    assert response.status_code == 204
    allowed = {name.strip().lower() for name in response.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name", "dpop"} <= allowed


async def allowed_headers(*requested: bytes) -> list[str]:
    """Returns the header names that the response to a preflight allows, which asks for headers in these lines."""
    headers = [(b"origin", b"http://localhost:6274"), (b"access-control-request-method", b"POST")]
    headers += [(b"access-control-request-headers", line) for line in requested]
    async with running() as server:
        response = await server.client.options("/mcp", headers=headers)
    assert response.status_code == 204
    return [name.strip().lower() for name in response.headers["access-control-allow-headers"].split(",")]


@pytest.mark.requirement("transport_security.preflight")
@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ((b"authorization,mcp-method,mcp-name,mcp-param-region",), ["mcp-param-region"]),
        ((b"Mcp-Param-Region, MCP-PARAM-tenant_id",), ["mcp-param-region", "mcp-param-tenant_id"]),
        ((b"mcp-param-a", b"mcp-param-b"), ["mcp-param-a", "mcp-param-b"]),
        ((b"mcp-param-a,mcp-param-a , \tmcp-param-a\t",), ["mcp-param-a"]),
        ((b"mcp-param-!#$%&'*+-.^_`|~9",), ["mcp-param-!#$%&'*+-.^_`|~9"]),
        ((b"mcp-param-" + 64 * b"x",), ["mcp-param-" + 64 * "x"]),
        (tuple(b"mcp-param-%d" % i for i in range(32)), [f"mcp-param-{i}" for i in range(32)]),
    ],
)
async def test_a_preflight_allows_parameters_of_tools_in_headers(lines: tuple[bytes, ...], names: list[str]) -> None:
    fixed = await allowed_headers()
    assert await allowed_headers(*lines) == [*fixed, *names]


@pytest.mark.requirement("transport_security.preflight")
@pytest.mark.parametrize(
    "line",
    [
        b"mcp-param-",
        b"mcp-param",
        b"x-mcp-param-a",
        b"mcp-params-a",
        b"mcp-param-a b",
        b"mcp-param-a:b",
        b'mcp-param-"a"',
        b"mcp-param-a;b",
        b"mcp-param-a/b",
        b"mcp-param-a\x00",
        b"mcp-param-a\n",
        b"mcp-param-a\r\nset-cookie",
        b"mcp-param-\xc3\xa9",
        "mcp-param-\u212a".encode(),
        b"mcp-param-" + 65 * b"x",
        b"cookie,x-forwarded-for,host,*",
        b",,, ,",
        20_000 * b"a",
    ],
)
async def test_a_preflight_allows_no_other_header(line: bytes) -> None:
    assert await allowed_headers(line) == await allowed_headers()


@pytest.mark.requirement("transport_security.preflight")
async def test_a_preflight_allows_few_parameters() -> None:
    many = b",".join(b"mcp-param-%d" % i for i in range(1000))
    assert len(await allowed_headers(many)) - len(await allowed_headers()) == 32


@pytest.mark.parametrize(("length", "status"), [(13_400, 200), (16_384, 200), (16_600, 431), (30_000, 431)])
async def test_a_token_that_is_too_long_is_rejected_with_the_name_of_the_setting(length: int, status: int) -> None:
    async with running() as server:
        size = length * 3 // 4 - len(server.issuer.token())
        while len(token := server.issuer.token(groups="x" * size)) < length:
            size += 1
        response = await server.post(token)
    assert response.status_code == status
    if status == 431:
        error = response.json()["error"]
        assert "MAX_TOKEN_BYTES" in error["message"]
        assert "logging in again will not change that" in error["message"]
        assert error["data"]["error"] == "token_too_long"
        assert "www-authenticate" not in response.headers


@pytest.mark.requirement("transport_security.origin")
async def test_listed_origins_replace_loopback() -> None:
    async with running(allowed_origins=("https://app.example",)) as server:
        statuses = [
            (await server.post(origin=origin)).status_code
            for origin in ("https://app.example", "http://localhost:3000", "http://localhost:6274")
        ]
    assert statuses == [401, 401, 403]


@pytest.mark.requirement("transport_security.host")
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:3000", 401),
        ("LOCALHOST:3000", 401),
        ("127.0.0.1:9", 401),
        ("[::1]:3000", 401),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("localhost:3000@evil", 421),
        ("", 421),
    ],
)
async def test_only_our_hosts_are_served(host: str, status: int) -> None:
    async with running() as server:
        assert (await server.post(host=host)).status_code == status
        assert (await server.client.get("/", headers={"host": host})).status_code == {401: 200}.get(status, status)
        assert (await server.client.get("/livez", headers={"host": host})).status_code == 200


@pytest.mark.requirement("transport_security.host")
async def test_listed_hosts_replace_loopback() -> None:
    async with running(allowed_hosts=("mcp.internal:3000",)) as server:
        statuses = [
            (await server.post(host=host)).status_code
            for host in ("mcp.internal:3000", "localhost:3000", "127.0.0.1:3000")
        ]
    assert statuses == [401, 401, 421]


@pytest.mark.requirement("body.json")
@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1,"a":2}}',
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
        b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}',
        '{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"[" * 100,
        b"9" * 5_000,
        b"",
        b"null",
    ],
)
async def test_a_body_that_two_parsers_could_read_differently_is_rejected(body: bytes) -> None:
    async with running() as server:
        headers = {"content-type": "application/json", "accept": BOTH}
        unknown = await server.client.post("/mcp", content=body, headers=headers)
        headers["authorization"] = f"Bearer {server.issuer.token()}"
        known = await server.client.post("/mcp", content=body, headers=headers)
    assert (unknown.status_code, known.status_code) == (401, 400)
    assert known.json()["error"] == "invalid_body"


@pytest.mark.requirement("body.length")
async def test_a_body_over_the_bound_is_rejected() -> None:
    async with running() as server:
        headers = {"authorization": f"Bearer {server.issuer.token()}", "content-type": "application/json"}
        response = await server.client.post("/mcp", content=b" " * (MAX_BODY_BYTES + 1), headers=headers)
    assert response.status_code == 413


async def test_the_application_gets_the_bytes_that_were_validated() -> None:
    async with running() as server:
        text = "h\u00e9, \\u00e9 \u2028 \U0001f600"
        response = await server.call("greet", server.issuer.token(), {"name": text})
    assert response.json()["result"]["content"][0]["text"] == f"Hello, {text}!"


@pytest.mark.requirement("metadata.both_paths", "metadata.resource", "metadata.scopes", "metadata.cors")
async def test_the_metadata_is_one_document_at_two_paths() -> None:
    async with running() as server:
        path_form = await server.client.get("/.well-known/oauth-protected-resource/mcp")
        root_form = await server.client.get("/.well-known/oauth-protected-resource")
        head = await server.client.head("/.well-known/oauth-protected-resource/mcp")
        post = await server.client.post("/.well-known/oauth-protected-resource/mcp")
        preflight = await server.client.options("/.well-known/oauth-protected-resource/mcp")
    assert path_form.content == root_form.content
    document = path_form.json()
    assert document["resource"] == "http://localhost:3000/mcp"
    assert document["authorization_servers"] == ["http://localhost:8080/realms/mcp"]
    assert document["scopes_supported"] == LOGIN_SCOPES.split()
    assert document["bearer_methods_supported"] == ["header"]
    assert path_form.headers["cache-control"] == "max-age=60"
    assert path_form.headers["access-control-allow-origin"] == "*"
    assert (head.status_code, head.content, post.status_code) == (200, b"", 405)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "*")


@pytest.mark.requirement("metadata.resource")
async def test_issuer_and_resource_are_published_as_they_were_set() -> None:
    issuer, resource = "https://Login.example.com/", "https://MCP.example.com/team/mcp"
    async with running(server_url=issuer, public_url=resource, issuer="https://alias.example.com") as server:
        path = "/.well-known/oauth-protected-resource/team/mcp"
        document = (await server.client.get(path, headers={"host": "mcp.example.com"})).json()
        challenged = await server.client.post("/team/mcp", headers={"host": "mcp.example.com"})
    assert (document["resource"], document["authorization_servers"]) == (resource, [issuer])
    assert challenge(challenged)["resource_metadata"] == f"https://MCP.example.com{path}"


async def test_the_server_is_live_at_once_and_ready_once_it_holds_keys() -> None:
    issuer = Issuer(down=True)
    async with running(issuer) as server:
        live, waiting = await server.client.get("/livez"), await server.client.get("/readyz")
        rejected = await server.post(issuer.token())
        issuer.down = False
        server.clock.forward(10)
        served = await server.post(issuer.token())
        ready = await server.client.get("/readyz")
        issuer.down = True
        server.clock.forward(3600)
        outage = await server.client.get("/readyz")
    assert (live.status_code, waiting.status_code, rejected.status_code) == (200, 503, 503)
    assert (served.status_code, ready.status_code, outage.status_code) == (200, 200, 200)


async def test_the_page_names_the_url_and_cannot_run_anything(tmp_path: Path) -> None:
    access = tmp_path / "access.yaml"
    source = (await _access_text()).replace("name: MCP demo server", "name: <script>alert(1)</script>")
    access.write_text(source, encoding="utf-8")
    async with running(access_file=access) as server:
        page = await server.client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "http://localhost:3000/mcp" in page.text
    assert "claude mcp add --transport http" in page.text
    assert "<script>" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def _access_text() -> str:
    from mcp_idp.config.settings import Settings  # noqa: PLC0415 - only for its default path

    return Settings().access_file.read_text(encoding="utf-8")


@pytest.mark.requirement("auth.unknown_path")
@pytest.mark.parametrize(
    "path", ["/sse", "/mcp/", "/MCP", "/.well-known/oauth-authorization-server", "/mcp/x", "//mcp"]
)
async def test_an_unknown_path_is_404_without_a_challenge(path: str) -> None:
    async with running() as server:
        response = await server.client.post(httpx.URL("http://localhost:3000").copy_with(raw_path=path.encode()))
    assert response.status_code == 404
    assert "www-authenticate" not in response.headers


async def test_without_authentication_the_principal_is_dev_and_host_and_origin_are_checked() -> None:
    with capture_logs() as lines:
        async with running(disable_auth=True) as server:
            served = await server.post()
            untrusted_origin = await server.post(origin="http://evil.example")
            untrusted_host = await server.post(host="evil.example")
            metadata = await server.client.get("/.well-known/oauth-protected-resource/mcp")
            ready = await server.client.get("/readyz")
    result: dict[str, Any] = served.json()["result"]["structuredContent"]
    assert (result["subject"], result["client"]) == ("dev", "dev")
    assert (untrusted_origin.status_code, untrusted_host.status_code) == (403, 421)
    assert (metadata.status_code, ready.status_code) == (404, 200)
    assert any(line["event"] == "authentication_disabled" for line in lines)


def auth_middleware(app: ASGIApp, verify: Verify, *, remaining: float = 1.0) -> AuthMiddleware:
    """Returns the middleware around `app`; each token is valid for `remaining` seconds more."""
    chosen = Settings()
    access = load_access(chosen.access_file)
    return AuthMiddleware(
        app,
        verify=verify,
        access=access,
        scope_requirements=ScopeRequirements(access),
        transport_security=TransportSecurity(chosen),
        decisions=DecisionRecorder(ChallengeBuilder("http://localhost:3000/x", access.login_scopes)),
        remaining_lifetime=lambda _principal: remaining,
        seconds_known=lambda _token: 1.0,
        budget=RequestMemory(1 << 20),
        max_callers=10,
    )


@pytest.mark.requirement("sessions.stream_expiry")
async def test_a_stream_whose_token_expires_before_the_first_byte_is_401() -> None:
    async def verify(_token: str, _requester: object) -> Principal:
        return Principal("https://login.example.com", "4f0c", "c", frozenset({"mcp:tools"}), 0.0)

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    middleware = auth_middleware(app, verify, remaining=0.0)
    stream = OpenRequest(middleware, "GET", {"authorization": "Bearer x"})
    await asyncio.wait_for(stream.responses, 10)
    assert stream.sent[0]["status"] == 401
    assert b'error="invalid_token"' in dict(stream.sent[0]["headers"])[b"www-authenticate"]


@pytest.mark.requirement("auth.fail_closed")
@pytest.mark.parametrize("error", [RuntimeError(), KeyError("x"), RecursionError(), asyncio.CancelledError()])
async def test_an_error_inside_the_verification_authenticates_no_request(error: BaseException) -> None:
    async def verify(_token: str, _requester: object) -> Principal:
        raise error

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        authenticated.append(True)

    authenticated: list[bool] = []
    middleware = auth_middleware(app, verify)
    stream = OpenRequest(middleware, "POST", {"authorization": f"Bearer {Issuer().token()}"}, b"{}")
    with pytest.raises(type(error)):
        await stream.responses
    assert (authenticated, stream.sent) == ([], [])


_BYTES = st.binary(max_size=60)
_PARTS = st.sampled_from(
    [
        b"Bearer",
        b"bearer ",
        b"Basic ",
        b" ",
        b"\t",
        b",",
        b"=",
        b".",
        b"eyJhbGciOiJub25lIn0",
        b"\xff",
        b'"',
        b"\\",
        b"e30",
    ]
)
AUTHORIZATION = st.lists(st.one_of(_BYTES, st.lists(_PARTS, max_size=8).map(b"".join)), min_size=1, max_size=2)


@pytest.mark.requirement("auth.any_header")
def test_no_authorization_header_without_a_token_authenticates_or_breaks_the_challenge() -> None:
    async def main() -> None:
        async with running() as server:

            @settings(max_examples=150, derandomize=True, deadline=None, database=None)
            @given(AUTHORIZATION)
            def send(values: list[bytes]) -> None:
                seen.append(values)

            seen: list[list[bytes]] = []
            send()
            for values in seen:
                headers = [(b"accept", BOTH.encode()), *((b"authorization", value) for value in values)]
                response = await server.client.post("/mcp", headers=headers, content=b"{}")
                assert response.status_code in {400, 401}, values
                assert challenge(response)["scope"].startswith("mcp:tools "), values

    asyncio.run(main())
