"""Arguments and output of the bootstrap command, without a provider."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.cli.bootstrap.changes import Change, FieldDiff, field_diff
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.keycloak.client_authentication import ClientAuthentication
from mcp_idp.cli.bootstrap.keycloak.credential_loading import SecretSource, public_key_set
from mcp_idp.cli.bootstrap.keycloak.resources.client_policies import merge
from mcp_idp.cli.bootstrap.keycloak.stale_clients import describe_rule
from mcp_idp.cli.bootstrap.keycloak.state.managed import STATE_ATTRIBUTE, ManagedState, RealmRecord, Records, is_managed
from mcp_idp.cli.bootstrap.output import change_lines, count_line, format_value, line_printer
from mcp_idp.cli.common.console import printable
from mcp_idp.cli.subcommands import run
from mcp_idp.config.client_signing_key import ClientSigningKey

if TYPE_CHECKING:
    from mcp_idp.config.client_signing_key import PrivateKey

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["prune", "--older-than", "30"], 2),
        (["prune", "--older-than", "0d"], 2),
        (["token", "--uses", "0"], 2),
        (["token", "--expires", "forever"], 2),
        (["apply", "--wait", "-1"], 2),
        (["destroy"], 2),
        (["--help"], 0),
    ],
)
def test_invalid_command_line_arguments_are_rejected(
    words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bootstrap", *words]) == code
    assert capsys.readouterr().out or code


def test_a_command_that_a_provider_does_not_have_is_rejected_with_those_it_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["bootstrap", "render"]) == 2
    assert "its commands are plan, apply, check, prune, token, replace-admin" in capsys.readouterr().err


@pytest.mark.parametrize(("variables", "port"), [({}, 1), ({"OAUTH_SERVER_URL": "http://localhost:2/realms/mcp"}, 2)])
def test_settings_are_read_from_the_environment_and_below_it_from_the_dotenv_file(
    variables: dict[str, str],
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("OAUTH_SERVER_URL", "OAUTH_PROVIDER", "KEYCLOAK_ADMIN_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    lines = ("KEYCLOAK_PORT=1", "KEYCLOAK_ADMIN_CLIENT_SECRET=secret", f"ACCESS_FILE={ROOT}/idp-config/access.yaml")
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(["bootstrap", "plan", "--wait", "0"]) == 3
    assert f"http://localhost:{port}/" in capsys.readouterr().err


def test_the_former_name_of_replace_admin_still_works_and_is_not_in_the_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["bootstrap", "--provider", "dex", "hand-over"]) == 2
    assert "--provider dex has no command replace-admin" in capsys.readouterr().err
    assert run(["bootstrap", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "  replace-admin " in printed
    assert "hand-over" not in printed


@pytest.mark.parametrize(("words", "provider"), [(["--provider", "dex", "prune"], ""), (["prune"], "dex")])
def test_a_command_that_a_provider_does_not_have_is_reported_in_one_line(
    words: list[str], provider: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTH_PROVIDER", provider)  # what the compose file of Dex sets
    assert run(["bootstrap", *words]) == 2
    message = "bootstrap: --provider dex has no command prune; its commands are plan, render, apply, check\n"
    assert capsys.readouterr().err == message


def test_a_name_chosen_by_a_client_moves_no_cursor() -> None:
    assert printable("\x1b[2J\u202eevil\nline") == "\\x1b[2J\\u202eevil line"
    assert format_value("\x07") == "\\x07"
    assert "\x1b" not in "".join(change_lines(Change("client \x1b[31m", "create", "POST", ())))
    screen = io.StringIO()
    line_printer(screen)("[bold]not markup[/bold]")
    assert screen.getvalue() == "[bold]not markup[/bold]\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "(none)"),
        ([], "(none)"),
        ({}, "(none)"),
        ("", '""'),
        (True, "true"),
        (0, "0"),
        (["a", "b"], "a, b"),
        ({"a": 1, "b": ["x", "y"]}, "a: 1, b: [x, y]"),
        ([{"a": {"b": None}}], "(a: (b: (none)))"),
        ([{"executor": "reject-request", "configuration": {}}], "reject-request"),
        (
            [{"executor": "pkce-enforcer", "configuration": {"auto-configure": True}}, {"condition": "any-client"}],
            "pkce-enforcer (auto-configure: true), any-client",
        ),
        ("“\u2068{0}\u2069” asks", "“{0}” asks"),
        ("“\u2068evil\u2069” asks", "“\\u2068evil\\u2069” asks"),
    ],
)
def test_values_are_printed_in_one_line(value: object, text: str) -> None:
    assert format_value(value) == text


def test_a_long_value_is_cut() -> None:
    assert len(format_value("x" * 1000)) == 160


def test_secrets_are_hidden_by_their_names_and_switches_are_not() -> None:
    assert field_diff("client.secret", "old", "new") == FieldDiff("client.secret", "(secret)", "(secret)")
    assert field_diff("credentials", None, [{"value": "x"}]) == FieldDiff("credentials", None, "(secret)")
    assert field_diff("resetPasswordAllowed", False, True) == FieldDiff("resetPasswordAllowed", False, True)


def test_steps_that_only_keep_the_order_do_not_count() -> None:
    step = Change("registration", "disabled during apply", "PUT", (), action="step")
    assert count_line([step]) == "no changes"
    assert count_line([step, Change("role x", "create", "POST", (), action="create")]).startswith("plan: 1 to create")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{",
        '{"clients": "all"}',
        '{"clients": [1, null]}',
        "null",
        '{"resources": {}}',
        '{"resources": {}, "realm": []}',
        '{"resources": [], "realm": {"owner": 1}}',
    ],
)
def test_an_invalid_record_owns_nothing(text: str | None) -> None:
    records = Records.of({"attributes": {STATE_ATTRIBUTE: text}})
    assert (records.resources, records.realm) == ({}, RealmRecord())
    assert not any(records.former.values())
    assert Records.of({}) == Records()


def test_the_records_are_read_as_they_were_written() -> None:
    ours = ManagedState(clients=frozenset({"a", "b"}), base_scope="orders")
    realm = RealmRecord(owner="http://localhost:1/mcp", profiles=frozenset({"p"}))
    records = Records(realm=realm, resources={"http://localhost:1/mcp": ours})
    assert Records.of({"attributes": {STATE_ATTRIBUTE: records.text}}) == records
    assert json.loads(records.text)["resources"]["http://localhost:1/mcp"]["clients"] == ["a", "b"]


@pytest.mark.parametrize(
    ("found", "marked"),
    [
        ({"attributes": {"kept.by": "bootstrap_idp"}}, True),
        ({"attributes": {"kept.by": ["bootstrap_idp"]}}, True),
        ({"attributes": {"kept.by": "http://localhost:3000/mcp"}}, True),
        ({"attributes": {"kept.by": ["http://localhost:3000/mcp", "http://localhost:3001/mcp"]}}, True),
        ({"attributes": {"kept.by": "somebody"}}, False),
        ({"attributes": {"kept.by": [None, 1]}}, False),
        ({"attributes": {}}, False),
        ({}, False),
    ],
)
def test_only_what_carries_the_marker_is_managed(found: dict[str, Any], *, marked: bool) -> None:
    assert is_managed(found) is marked


def test_a_dropped_entry_goes_and_others_keep_their_places() -> None:
    there: list[dict[str, Any]] = [{"name": "theirs"}, {"name": "dropped"}, {"name": "ours", "old": True}]
    assert merge([{"name": "ours"}, {"name": "new"}], there, frozenset({"dropped"})) == [
        {"name": "theirs"},
        {"name": "ours"},
        {"name": "new"},
    ]


KEYS: list[PrivateKey] = [
    rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ec.generate_private_key(ec.SECP256R1()),
    ed25519.Ed25519PrivateKey.generate(),
]


@pytest.mark.requirement("bootstrap.private_key_jwt")
@pytest.mark.parametrize(("key", "algorithm"), list(zip(KEYS, ["RS256", "ES256", "EdDSA"], strict=True)))
def test_only_the_public_half_of_the_servers_key_is_written(key: PrivateKey, algorithm: str) -> None:
    text = public_key_set(ClientSigningKey(algorithm, key))
    (jwk,) = json.loads(text)["keys"]
    assert set(jwk) & {"d", "p", "q", "dp", "dq", "qi"} == set()
    assert (jwk["use"], jwk["alg"]) == ("sig", algorithm)
    assert text == public_key_set(ClientSigningKey(algorithm, key))
    members = ClientAuthentication(keys=text, algorithm=algorithm).representation
    assert members["clientAuthenticatorType"] == "client-jwt"
    assert "secret" not in members


@pytest.mark.requirement("bootstrap.private_key_jwt")
def test_a_secret_replaces_an_earlier_key() -> None:
    members = ClientAuthentication(secret="s").representation
    assert members["clientAuthenticatorType"] == "client-secret"
    assert members["attributes"] == {
        "use.jwks.string": "",
        "jwks.string": "",
        "use.jwks.url": "",
        "jwks.url": "",
        "token.endpoint.auth.signing.alg": "",
    }
    assert "unspoken" not in repr(ClientAuthentication(secret="unspoken"))


@pytest.mark.requirement("bootstrap.private_key_jwt")
def test_a_key_that_is_unknown_in_this_run_is_left_unchanged() -> None:
    assert ClientAuthentication(key_unknown_here=True).representation == {
        "clientAuthenticatorType": "client-jwt",
        "attributes": {},
    }


@pytest.mark.requirement("service_clients.secret")
def test_a_service_client_s_secret_is_created_once_and_only_by_an_apply(tmp_path: Path) -> None:
    place = SecretSource("ROBOT_SECRET", file=tmp_path / "robot")
    unknown = place.read(create_missing=False)
    assert not (tmp_path / "robot").exists()
    made = place.read(create_missing=True)
    assert made != unknown
    assert place.read(create_missing=True) == place.read(create_missing=False) == made
    assert "unspoken" not in repr(SecretSource("ROBOT_SECRET", "unspoken"))


@pytest.mark.requirement("service_clients.secret")
def test_a_service_client_s_secret_that_is_missing_or_short_ends_an_apply() -> None:
    assert SecretSource("ROBOT_SECRET").read(create_missing=False) is None
    for place in (SecretSource("ROBOT_SECRET"), SecretSource("ROBOT_SECRET", "short")):
        with pytest.raises(ConfigError, match=r"^ROBOT_SECRET: "):
            place.read(create_missing=True)


@pytest.mark.requirement("client_metadata_document.listed_hosts")
@pytest.mark.parametrize(
    "domains",
    ["[]", "[localhost]", "['*.example.com']", "[10.0.0.7]", "['[::1]']", "[EXAMPLE.com]", "['a.example/x']"],
)
def test_client_metadata_documents_come_only_from_hosts_listed_by_name(domains: str, tmp_path: Path) -> None:
    text = (ROOT / "idp-config" / "access.yaml").read_text(encoding="utf-8")
    file = tmp_path / "access.yaml"
    file.write_text(text.replace("profile: open-dev", f"profile: cimd\n  document_domains: {domains}"))
    with pytest.raises(AccessFileError, match=r"^[^\n]*document_domains[^\n]*$"):
        load_access(file)


@pytest.mark.parametrize(
    ("seconds", "unused", "message"),
    [
        (
            30 * 86400,
            False,
            "more than 30 days ago, that were not used for a login for 30 days and that have no session",
        ),
        (3600, True, "more than 1 hour ago, that were never used for a login and that have no session"),
        (90, False, "more than 90 seconds ago, that were not used for a login for 90 seconds and that have no session"),
    ],
)
def test_prune_says_what_it_looks_for(seconds: int, message: str, *, unused: bool) -> None:
    assert describe_rule(seconds, unused=unused) == message
