"""Every program that logs in sends the password only to the configured provider, whatever a server names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcp_idp.cli.common.errors import ProviderError
from mcp_idp.cli.common.trusted_issuer import check_issuer, configured_issuer, origin
from mcp_idp.cli.subcommands import run
from tests.support.fake_mcp_server import PASSWORD, Fake, fake_for_a_program, fake_login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ADA = ["--headless", "--user", "ada"]
PROGRAMS: dict[str, Callable[[str], int]] = {
    "login": lambda url: run(["login", "--url", url, *_ADA]),
    "token": lambda url: run(["token", "--url", url, *_ADA]),
    "doctor": lambda url: run(["doctor", url, "--login", *_ADA]),
}
RESOURCE, PROVIDER = "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """The configured provider, in OAUTH_SERVER_URL."""
    with fake_for_a_program(monkeypatch) as running:
        yield running


@pytest.fixture
def hostile(own: Fake) -> Iterator[Fake]:
    """Another server, whose own provider has the same login page."""
    with fake_login() as running:
        yield running


def names(server: Fake, *issuers: object) -> None:
    """Makes `server` name these issuers as its authorization servers."""
    server.responses[RESOURCE] = (200, {"resource": server.resource, "authorization_servers": list(issuers)})


def metadata(provider: Fake, **changes: str) -> tuple[int, dict[str, Any]]:
    endpoints = {f"{name}_endpoint": f"{provider.url}/{name}" for name in ("authorization", "token", "registration")}
    basics = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
    return 200, {"issuer": provider.url, **endpoints, **basics, **changes}


def saw_nothing(*fakes: Fake) -> bool:
    """Returns whether no password, user name or code arrived, and no login page was opened."""
    return all((fake.forms, fake.query, fake.verifier) == ([], {}, "") for fake in fakes)


@pytest.mark.requirement("login.trusted_issuer")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_server_that_names_itself_does_not_get_the_password(
    program: str, own: Fake, hostile: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PROGRAMS[program](hostile.resource) != 0
    assert saw_nothing(hostile, own)
    output = " ".join("".join(capsys.readouterr()).split())
    assert f"the password is for the provider {own.url}, but the server names {hostile.url}: nothing was sent" in output
    assert f"--issuer {hostile.url}, or OAUTH_SERVER_URL" in output
    assert PASSWORD not in output


@pytest.mark.requirement("login.trusted_issuer")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_remote_server_that_names_the_configured_provider_gets_a_login(
    program: str, own: Fake, hostile: Fake
) -> None:
    names(hostile, own.url)  # so the provider is the configured one
    own.claims = hostile.claims
    assert PROGRAMS[program](hostile.resource) == (1 if program == "doctor" else 0)  # the doctor has findings
    assert [form.get("password") for form in own.forms] == [PASSWORD, None]
    assert hostile.forms == []


@pytest.mark.requirement("login.trusted_issuer")
@pytest.mark.parametrize("program", PROGRAMS)
def test_issuer_names_the_provider_before_the_environment(program: str, own: Fake, hostile: Fake) -> None:
    _ADA.extend(["--issuer", hostile.url])
    try:
        assert PROGRAMS[program](hostile.resource) == (1 if program == "doctor" else 0)
        assert PROGRAMS[program](own.resource) != 0
    finally:
        del _ADA[-2:]
    assert len(hostile.forms) == 2
    assert saw_nothing(own)


def _named_otherwise(own: Fake, hostile: Fake) -> dict[str, list[object]]:
    port = own.url.rpartition(":")[2]
    return {
        "its own first, the right one second": [hostile.url, own.url],
        "a slash behind it": [f"{own.url}/"],
        "capitals in the scheme": [own.url.replace("http", "HTTP")],
        "another name of the same host": [f"http://localhost:{port}"],
        "another realm of the same host": [f"{own.url}/realms/evil"],
        "a way back to it": [f"{own.url}/evil/.."],
        "it as the user part": [f"{own.url}@{hostile.url.removeprefix('http://')}"],
        "it with a user": [own.url.replace("//", "//ada@")],
        "it with a query": [f"{own.url}?"],
        "it with a fragment": [f"{own.url}#"],
        "it over TLS": [own.url.replace("http", "https")],
        "a list of it": [[own.url]],
        "no text": [7],
        "nothing": [],
        "letters that steer the terminal": [f"{own.url}\x1b]0;owned\x07"],
    }


NAMED_OTHERWISE = tuple(_named_otherwise(Fake("http://127.0.0.1:1"), Fake("http://127.0.0.1:2")))


@pytest.mark.requirement("login.trusted_issuer")
@pytest.mark.parametrize("how", NAMED_OTHERWISE)
def test_the_issuer_is_compared_byte_for_byte(
    how: str, own: Fake, hostile: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    names(hostile, *_named_otherwise(own, hostile)[how])
    assert PROGRAMS["login"](hostile.resource) in {4, 5}
    assert saw_nothing(hostile, own)
    output = "".join(capsys.readouterr())
    assert [c for c in output if c != "\n" and not c.isprintable()] == []


@pytest.mark.requirement("login.trusted_issuer")
def test_metadata_that_only_claims_to_be_the_provider_s_is_not_requested(own: Fake, hostile: Fake) -> None:
    hostile.responses[PROVIDER] = metadata(hostile, issuer=own.url)
    assert PROGRAMS["login"](hostile.resource) == 4
    hostile.responses[RESOURCE] = (404, {})  # like servers from before RFC 9728, with the provider's metadata
    assert PROGRAMS["login"](hostile.resource) == 4
    hostile.responses[PROVIDER] = metadata(hostile)
    assert PROGRAMS["login"](hostile.resource) == 4
    hostile.responses[PROVIDER] = (
        404,
        {},
    )  # without metadata, clients use /authorize, /token and /register of the server
    assert PROGRAMS["login"](hostile.resource) == 4
    assert run(["login", "--url", hostile.resource, *_ADA, "--client-id", "known"]) == 4
    assert saw_nothing(hostile, own)


@pytest.mark.requirement("login.trusted_issuer")
@pytest.mark.parametrize("registered", [True, False])
def test_metadata_of_a_provider_is_not_mistaken_for_the_server_s(own: Fake, hostile: Fake, *, registered: bool) -> None:
    # The provider's metadata at a URL that looks like that of the resource's.
    evil = f"{hostile.url}/oauth-protected-resource"
    names(hostile, evil)
    hostile.responses[f"{PROVIDER}/oauth-protected-resource"] = metadata(
        hostile, issuer=evil, authorization_endpoint=f"{own.url}/authorization"
    )
    options = [] if registered else ["--client-id", "known"]
    assert run(["login", "--url", hostile.resource, *_ADA, *options]) == 4
    assert saw_nothing(hostile, own)


@pytest.mark.requirement("login.trusted_issuer")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_login_page_at_another_origin_is_not_requested_even_if_the_provider_names_it(
    program: str, own: Fake, hostile: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    own.responses[PROVIDER] = metadata(own, authorization_endpoint=f"{hostile.url}/authorization")
    assert PROGRAMS[program](own.resource) != 0
    assert saw_nothing(hostile, own)
    assert f"{hostile.url}, which is not {own.url}" in " ".join("".join(capsys.readouterr()).split())


@pytest.mark.requirement("login.trusted_issuer")
def test_a_server_that_names_another_provider_for_the_second_login_gets_one_login(own: Fake, hostile: Fake) -> None:
    names(hostile, own.url)
    hostile.accepts_token = False
    own.claims = hostile.claims
    assert PROGRAMS["login"](hostile.resource) == 6  # its token is rejected; only one login happens
    names(hostile, hostile.url)
    own.forms.clear()
    own.query.clear()
    own.verifier = ""
    assert PROGRAMS["login"](hostile.resource) == 4
    assert saw_nothing(hostile, own)


@pytest.mark.requirement("login.trusted_issuer")
@pytest.mark.parametrize("value", ["no-url", "ftp://x", "https://ada@x/", "https://x/?a", "https://x/#", "https://x\n"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_issuer_that_is_no_url_is_a_wrong_command_line(
    program: str, value: str, own: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTH_SERVER_URL", value)
    assert PROGRAMS[program](own.resource) == 2
    assert saw_nothing(own)


@pytest.mark.requirement("login.trusted_issuer", "token.client_credentials")
def test_a_secret_follows_the_same_rule(
    own: Fake, hostile: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret-of-ours\n")
    own.responses["/token"] = hostile.responses["/token"] = (200, {"access_token": "the-token"})
    arguments = ["--url", hostile.resource, "--client-id", "nightly", "--client-secret-file", str(path)]
    assert run(["token", *arguments]) == 4
    assert f"the secret is for the provider {own.url}, but the server names {hostile.url}" in capsys.readouterr().err
    assert run(["token", *arguments, "--issuer", hostile.url]) == 0
    monkeypatch.setenv("OAUTH_SERVER_URL", "no-url")
    assert run(["token", *arguments]) == 2


@pytest.mark.requirement("login.trusted_issuer")
def test_where_nothing_is_named_it_is_the_compose_stack_s_keycloak() -> None:
    assert (
        configured_issuer(None, {})
        == configured_issuer("", {"OAUTH_SERVER_URL": ""})
        == "http://localhost:8080/realms/mcp"
    )
    assert configured_issuer(None, {"OAUTH_SERVER_URL": "https://a/"}) == "https://a/"
    assert configured_issuer("https://b", {"OAUTH_SERVER_URL": "https://a/"}) == "https://b"


@pytest.mark.requirement("login.trusted_issuer")
def test_what_a_server_names_is_no_command_and_no_page(own: Fake) -> None:
    with pytest.raises(ProviderError) as raised:
        check_issuer("https://x/$(touch${IFS}y);#" + "z" * 10_000, own.url)
    (advice,) = raised.value.advice
    assert "--issuer 'https://x/$(touch${IFS}y);#zz" in advice
    assert len(raised.value.message) < 400


@pytest.mark.parametrize(
    ("url", "its"),
    [
        ("https://ID.example:443/a?b#c", "https://id.example"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://[::1]:8443/a", "https://[::1]:8443"),
        ("https://ada@id.example/", "https://ada@id.example"),
    ],
)
def test_an_origin_is_read_as_the_http_client_reads_it(url: str, its: str) -> None:
    assert origin(url) == its
