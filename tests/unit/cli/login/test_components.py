"""The components of the login client."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_idp.access.policy import AccessPolicy
from mcp_idp.cli.common.console import printable
from mcp_idp.cli.common.http_client import Address, RemapTransport, parse_connect_to
from mcp_idp.cli.common.redaction import Redactor
from mcp_idp.cli.common.token_summary import (
    audiences,
    decode_unverified_claims,
    describe_claims,
    roles,
    scopes,
)
from mcp_idp.cli.login.cli import join_calls, login_options
from mcp_idp.cli.login.form_login import Cookies
from mcp_idp.cli.login.granted_scopes import describe_missing, missing_scopes
from mcp_idp.cli.login.html_forms import read_page
from mcp_idp.cli.login.options import LoginArguments
from mcp_idp.cli.login.rejected_token import LoginContext, RejectedRequest, explain_rejection

PROVIDER = "http://localhost:8080/login"
ACCESS = AccessPolicy.model_validate(
    {
        "version": 1,
        "resource": {"name": "R"},
        "base_scope": "use",
        "scopes": {"use": {"description": "Use", "roles": ["user", "boss"]}},
        "registration": {"profile": "closed"},
    }
)


def test_a_form_is_read_with_its_hidden_and_checked_controls() -> None:
    html = """<form action="/go?a=1&amp;b=2" method="POST"><input name=u value="&lt;me&gt;"><input type=password name=p>
    <input type=hidden name=h value=1><input type=checkbox name=on checked><input type=checkbox name=off>
    <input name=dead disabled><button name=x value=cancel>No</button><button name=y value=1>Yes</button></form>"""
    (form,) = read_page(html, PROVIDER).forms
    assert form.action == "http://localhost:8080/go?a=1&b=2"
    assert form.method == "post"
    assert form.form_data(form.accept_button) == {"u": "<me>", "p": "", "h": "1", "on": "on", "y": "1"}


@pytest.mark.parametrize("rejection", ["Cancel", "Deny", "No", "Decline"])
def test_consent_never_presses_the_deny_button(rejection: str) -> None:
    html = f"<form method=post><button>{rejection}</button><button name=ok>Allow</button></form>"
    (form,) = read_page(html, PROVIDER).forms
    assert form.accept_button is not None
    assert form.accept_button.name == "ok"


def test_the_message_of_an_error_page_is_found() -> None:
    html = (
        "<title>A &amp; B</title><br><div class='alert alert-error'><p>Wrong <b>name</b></div><script>no()</script> x"
    )
    page = read_page(html, PROVIDER)
    assert (page.title, page.message) == ("A & B", "Wrong name")


@given(st.text(alphabet="<>/ =\"'abformdivinputype!-&#;\x00", max_size=300))
def test_no_page_breaks_the_reader(html: str) -> None:
    read_page(html, PROVIDER)


def cookies_of(*lines: str, url: str = PROVIDER) -> Cookies:
    cookies = Cookies()
    headers = [("set-cookie", line) for line in lines]
    cookies.store_from(httpx2.Response(200, headers=headers, request=httpx2.Request("GET", url)))
    return cookies


@pytest.mark.requirement("login.cookies")
def test_a_secure_cookie_is_sent_over_http_to_its_own_host_and_path_only() -> None:
    cookies = cookies_of("a=1; Path=/realms/mcp; Secure; HttpOnly; SameSite=None", "b=2; Path=/")
    assert cookies.header("http://localhost:9999/realms/mcp/x") == "a=1; b=2"
    assert cookies.header("http://localhost:8080/realms/mcpx") == "b=2"
    assert cookies.header("http://127.0.0.1:8080/realms/mcp") == ""


@pytest.mark.requirement("login.cookies")
@pytest.mark.parametrize(
    "end", ["Max-Age=0", "Expires=Thu, 01-Jan-1970 00:00:10 GMT", "expires=Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_a_cookie_that_has_run_out_is_dropped(end: str) -> None:
    assert cookies_of("a=1; Path=/", f"a=; Path=/; {end}").header(PROVIDER) == ""


def test_pairs_are_read_and_nonsense_is_rejected() -> None:
    pairs = parse_connect_to("localhost:3000=mcp-server:3000, [::1]:80=[fe80::1]:8080")
    assert pairs == {
        Address("localhost", 3000): Address("mcp-server", 3000),
        Address("::1", 80): Address("fe80::1", 8080),
    }
    for wrong in ("localhost", "a:1=b", "a:1=b:0", "a:x=b:1", "=b:1"):
        with pytest.raises(ValueError, match="CONNECT_TO"):
            parse_connect_to(wrong)


@pytest.mark.anyio
async def test_only_the_address_changes_not_the_host_header_nor_the_tls_name() -> None:
    seen: list[httpx2.Request] = []

    def fake_response(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200)

    pairs = parse_connect_to("public.example:443=inside:8443")
    transport = RemapTransport(pairs, httpx2.MockTransport(fake_response))
    async with httpx2.AsyncClient(transport=transport) as client:
        response = await client.post("https://public.example/p?q=1", content=b"body", headers={"x-own": "1"})
        await client.get("https://other.example/")
    moved, stored = seen
    assert str(moved.url) == "https://inside:8443/p?q=1"
    assert (moved.headers["host"], moved.headers["x-own"]) == ("public.example", "1")
    assert moved.extensions["sni_hostname"] == "public.example"
    assert str(stored.url) == "https://other.example/"
    assert str(response.request.url) == "https://public.example/p?q=1"  # redirects and cookies use this URL


@given(st.lists(st.text(min_size=1), min_size=1), st.text(), st.text())
def test_a_known_secret_is_never_printed(values: list[str], before: str, after: str) -> None:
    secrets = Redactor()
    secrets.add_secret(None, "", *values)
    redacted = secrets.redact(before + "".join(values) + after)
    assert [value for value in values if value in redacted.replace("<hidden>", "")] == []


def test_a_secret_deep_in_json_is_hidden_too() -> None:
    secrets = Redactor()
    secrets.add_secret("abc")
    assert secrets.hide_in({"a": ["xabc", {"c": "abc"}], "b": None}) == {
        "a": ["x<hidden>", {"c": "<hidden>"}],
        "b": None,
    }


def test_no_key_is_ever_rewritten() -> None:
    secrets = Redactor()
    secrets.add_secret("abc")
    secrets.add_password("x")
    assert secrets.hide_in({"abc": 1}) == {"abc": 1}
    assert secrets.redact_remote({"x": ["x", "exit"]}) == {"x": ["<hidden>", "exit"]}


@pytest.mark.parametrize(
    ("password", "text", "displayed"),
    [
        ("x", "exit_code x, 'x'!", "exit_code <hidden>, '<hidden>'!"),
        ("x", "prefix xs", "prefix xs"),
        ("mcp", "mcp_roles mcp:tools http://localhost/mcp mcp", "mcp_roles mcp:tools http://localhost/mcp <hidden>"),
        ("ada", "ada may not", "ada may not"),  # the user's name
        ("ada!", "ada! ada", "<hidden> ada"),
        ("-p+", "password=-p+&next", "password=<hidden>&next"),
        ("two  words", "wrong: two words", "wrong: <hidden>"),
        ('q"ü', '{"password": "q\\"ü"} q\\"\\u00fc', '{"password": "<hidden>"} <hidden>'),
    ],
)
def test_a_password_is_hidden_as_a_word_and_not_where_the_word_is_public(
    password: str, text: str, displayed: str
) -> None:
    secrets = Redactor()
    secrets.add_public("ada", "mcp:tools", "http://localhost/mcp", None, "")
    secrets.add_password(password)
    assert secrets.redact_remote_text(text) == displayed
    assert secrets.redact(text) == text


@pytest.mark.requirement("login.scopes_not_granted")
@pytest.mark.parametrize(
    ("response", "claims", "missing"),
    [
        ({"scope": "use"}, None, ["email"]),
        ({}, {"scp": ["email"]}, ["use"]),
        ({}, {"sub": "ada"}, []),  # the token response omits it: the requested scopes
        ({}, None, []),
        ({"scope": ""}, None, ["use", "email"]),
    ],
)
def test_scopes_requested_and_not_granted_are_found(
    response: dict[str, str], claims: dict[str, object] | None, missing: list[str]
) -> None:
    assert missing_scopes(["use", "email", "use"], response, claims, ACCESS) == missing


@pytest.mark.requirement("login.scopes_not_granted")
def test_what_is_implied_or_shows_otherwise_is_granted() -> None:
    broad = AccessPolicy.model_validate(
        {
            **ACCESS.model_dump(mode="json"),
            "scopes": {
                "use": {"description": "Use", "roles": ["user", "boss"]},
                "rule": {"description": "Rule", "roles": ["boss"], "implies": ["use"]},
            },
        }
    )
    response = {"scope": "rule", "refresh_token": "r"}
    assert missing_scopes(["use", "rule", "offline_access"], response, None, broad) == []
    assert describe_missing(["use", "email"], None, ACCESS) == "not granted: use (needs the role user or boss), email"
    assert describe_missing(["use"], None, None) == "not granted: use"


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"roles": ["boss"]}, "the user has its role boss, so the scope has lost it at the provider"),
        ({"realm_access": {"roles": ["other", "user"]}}, "the user has its role user, so the scope has lost it"),
        ({"roles": ["other"]}, "needs the role user or boss"),
        ({"roles": 7, "realm_access": 7}, "needs the role user or boss"),
        ({}, "needs the role user or boss"),
    ],
)
def test_a_scope_that_lost_its_role_is_not_blamed_on_the_user(claims: dict[str, Any], expected: str) -> None:
    assert expected in describe_missing(["use"], claims, ACCESS)


@pytest.mark.parametrize(
    ("option", "variables", "url"),
    [
        (None, {}, "http://localhost:3000/mcp"),
        (None, {"MCP_PORT": "3100"}, "http://localhost:3100/mcp"),
        (None, {"MCP_PORT": "3100", "MCP_PUBLIC_URL": "https://a.example/mcp"}, "https://a.example/mcp"),
        ("https://b.example/mcp", {"MCP_PORT": "x"}, "https://b.example/mcp"),
    ],
)
def test_the_server_is_the_one_named_else_the_compose_files(
    option: str | None, variables: dict[str, str], url: str
) -> None:
    assert login_options(LoginArguments(url=option), variables).url == url


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["--call", "greet"], ["--call", '["greet"]']),
        (["--call", "greet", "name=Ada", "--json"], ["--call", '["greet", "name=Ada"]', "--json"]),
        (["--call", "a", "--call", "b", "n=-1"], ["--call", '["a"]', "--call", '["b", "n=-1"]']),
        (["URL", "--call", "a"], ["URL", "--call", '["a"]']),
        (["--call", "--json"], ["--call", "--json"]),
        (["--call"], ["--call"]),
        (["--call=a"], ["--call=a"]),
    ],
)
def test_a_call_takes_the_words_up_to_the_next_option(words: list[str], joined: list[str]) -> None:
    assert join_calls(words) == joined


@pytest.mark.parametrize("port", ["x", "0", "65536", "127.0.0.1:3000"])
def test_a_port_that_is_none_is_rejected_by_name(port: str) -> None:
    with pytest.raises(ValueError, match="MCP_PORT"):
        login_options(LoginArguments(), {"MCP_PORT": port})


def test_a_user_without_a_name_gets_none() -> None:
    for access in (ACCESS, None):
        lines = explain_rejection(
            RejectedRequest(401), {"aud": [], "scope": ""}, LoginContext(resource="R", access=access)
        )
        assert "your account" in lines[-1]
        assert "'" not in lines[-1]


@given(st.text())
def test_whatever_is_printed_is_one_printable_line(text: str) -> None:
    assert all(c.isprintable() for c in printable(text))


def jwt_of(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


@pytest.mark.requirement("login.claims")
def test_claims_of_a_jwt_are_read_and_an_opaque_token_has_none() -> None:
    assert decode_unverified_claims(jwt_of({"sub": "ada"})) == {"sub": "ada"}
    for opaque in ("opaque", "a.b", "a.%%%.c", jwt_of([1]), "a.e30"):
        assert decode_unverified_claims(opaque) is None


@pytest.mark.requirement("login.claims")
def test_every_providers_spelling_is_understood() -> None:
    assert audiences({"aud": "one"}) == ["one"]
    assert audiences({"aud": ["one", "two"]}) == ["one", "two"]
    assert scopes({"scp": ["a", "b"]}) == scopes({"scope": "a b"}) == ["a", "b"]
    assert roles({"realm_access": {"roles": ["r"]}}) == roles({"mine": ["r"]}, "mine") == ["r"]


KEYCLOAK = "https://login.example.com/realms/x"
OTHER = "https://login.example.com/realms/y"


@pytest.mark.parametrize(
    ("claims", "ahead", "expected"),
    [
        ({"iss": OTHER}, None, f"the token is from the issuer {OTHER}, and the server names {KEYCLOAK}"),
        ({"iss": None}, None, "the token is from the issuer None"),
        ({}, 600.0, "the server's clock is 600 s ahead of this machine's"),
        ({}, -90.0, "the server's clock is 90 s behind this machine's"),
        ({"exp": 900}, None, "has expired already"),
        ({"iat": 1600}, None, "was issued in the future"),
        ({"typ": "ID"}, None, "the token's type is ID"),
        ({"typ": "Refresh"}, None, "the token's type is Refresh"),
        ({"exp": "soon", "iat": {}}, 20.0, "JWT_AUDIENCE, JWT_ISSUER and JWT_JWKS_URL override"),
        ({"iat": 1020}, -20.0, "AUTH_TOKEN_MODE=introspection"),
    ],
)
def test_a_rejection_of_a_token_for_this_server_names_what_differs(
    claims: dict[str, Any], ahead: float | None, expected: str
) -> None:
    token = {"aud": "R", "scope": "use", "iss": KEYCLOAK, "iat": 1000, "exp": 1300, "typ": "Bearer", **claims}
    context = LoginContext(resource="R", issuer=KEYCLOAK, now=1000.0, access=ACCESS)
    lines = explain_rejection(RejectedRequest(401, clock_ahead=ahead), token, context)
    assert expected in "\n".join(lines)
    assert "check issuer, clock and token type" not in "\n".join(lines)


def test_a_rejection_with_403_is_about_scopes_whatever_the_clock_says() -> None:
    context = LoginContext(resource="R", issuer=OTHER, now=1e10, access=ACCESS)
    lines = explain_rejection(RejectedRequest(403, clock_ahead=600.0), {"aud": "R", "exp": 1}, context)
    assert "users get the scope use" in "\n".join(lines)


def test_where_the_token_shows_no_role_both_causes_are_named() -> None:
    context = LoginContext(resource="R", access=ACCESS, user="ada")
    lines = explain_rejection(RejectedRequest(401), {"iss": KEYCLOAK, "scope": ""}, context)
    assert "the account has none, or the scope has lost its own" in "\n".join(lines)
    assert next(i for i, line in enumerate(lines) if "bootstrap check" in line) < len(lines) - 1
    assert "can assign the role user or boss to 'ada'" in lines[-1]


@pytest.mark.parametrize("member", [{"roles": ["user"]}, {"realm_access": {"roles": ["boss"]}}])
def test_an_account_that_has_the_role_is_not_sent_to_an_administrator_for_it(member: dict[str, Any]) -> None:
    context = LoginContext(resource="R", access=ACCESS, user="ada")
    lines = explain_rejection(RejectedRequest(403), {"iss": KEYCLOAK, "aud": "R", "scope": "", **member}, context)
    assert "'ada' has such a role, so the scope has lost it at the provider" in lines
    assert "can assign" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"aud": "other", "scope": "use"}, "the token is for other; this server accepts only tokens for R"),
        ({"aud": "R", "scope": "email"}, "users get the scope use with the role user or boss"),
        ({"aud": "R", "scope": ""}, "the token grants no scope"),
        ({"aud": "R", "groups": ["staff"]}, "users get the scope use with the group user or boss"),
        ({"aud": "R", "groups": ["staff"]}, "groups of your account in the token: staff"),
        ({"aud": "R"}, "no scope: this provider grants scopes by role or group"),
        ({"aud": "R", "scope": "use"}, "JWT_AUDIENCE, JWT_ISSUER and JWT_JWKS_URL override"),
        (None, "the token is not a JWT"),
    ],
)
def test_a_rejection_is_explained_by_what_the_token_lacks(claims: dict[str, str] | None, expected: str) -> None:
    lines = explain_rejection(RejectedRequest(401), claims, LoginContext(resource="R", access=ACCESS))
    assert expected in "\n".join(lines)


def test_where_groups_grant_scopes_the_client_names_groups() -> None:
    output = "\n".join(describe_claims({"sub": "ada", "groups": ["staff", "user"]}, 0))
    assert "groups      staff user" in output
    assert "those of its groups" in output
    assert "role" not in output
    message = "\n".join(describe_claims({"sub": "ada", "scope": "use", "groups": ["staff"], "roles": ["user"]}, 0))
    assert "scopes      use  (scope)" in message
    assert "roles       user" in message


def test_the_groups_that_the_access_file_names_are_those_that_are_missing() -> None:
    access = ACCESS.model_copy(update={"groups": {"engineering": ("user",), "other": ("nothing",)}})
    lines = explain_rejection(
        RejectedRequest(403), {"aud": "R", "groups": ["other"]}, LoginContext(resource="R", access=access)
    )
    assert "users get the scope use with the group engineering (idp-config/access.yaml)" in lines
    at_keycloak = explain_rejection(
        RejectedRequest(403), {"aud": "R", "scope": ""}, LoginContext(resource="R", access=access)
    )
    assert "users get the scope use with the role user or boss (idp-config/access.yaml)" in at_keycloak


def test_a_login_with_too_few_scopes_gets_that_reason_and_no_reference_to_an_administrator() -> None:
    context = LoginContext(resource="R", scope="email", access=ACCESS)
    lines = explain_rejection(RejectedRequest(401), {"aud": "R", "scope": "email"}, context)
    assert "omit --scope" in lines[-1]
    assert "administrator" not in "".join(lines)
