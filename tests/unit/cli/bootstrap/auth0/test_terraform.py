"""The Terraform files rendered for Auth0, parsed as JSON and HCL; without Auth0."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hcl2
import pytest
import yaml

from mcp_idp.access.policy import load_access
from mcp_idp.cli.bootstrap.auth0.settings import NAMES, Auth0Settings
from mcp_idp.cli.bootstrap.auth0.terraform import escape_templates
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.subcommands import run

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[5]
RESOURCE = "https://mcp.example.com/mcp"
HOSTILE = [
    'say "hello"',
    "${file(/etc/passwd)} $${twice} $$${thrice}",
    "%{ if true }yes%{ endif } %%{x}",
    "back\\slash \\${x} ends with \\",
    "two\nlines\ttab\r",
    "control \x07 \u202e \U000e0001 and é ✓",
    "# no comment // either /* nor this */",
    "<<EOT",
    "$ % { } $% ${ }",
    "//",
    "$%{a}%${b}",
    "~${~ path.root ~}",
    "\u2028${\x00x}",
    "$$$$${path.module}%%%%%{x}",
]
SERVICE_CLIENT = {"importer": {"name": "The importer", "roles": ["mcp-writer"], "secret": "IMPORTER_SECRET"}}
Variables = dict[str, str]


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Variables:
    """Returns the environment of the command, with a copy of our files and an output folder."""
    shutil.copytree(ROOT / "idp-config", tmp_path / "idp-config")
    found = {
        "ACCESS_FILE": str(tmp_path / "idp-config" / "access.yaml"),
        "AUTH0_FILES": str(tmp_path / "run"),
        "OAUTH_SERVER_URL": "https://acme.eu.auth0.com/",
        "MCP_PUBLIC_URL": RESOURCE,
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def edit(variables: Variables, change: Callable[[Any], object]) -> None:
    path = Path(variables["ACCESS_FILE"])
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def render() -> int:
    return run(["bootstrap", "--provider", "auth0", "render"])


def written(variables: Variables, name: str) -> str:
    return (Path(variables["AUTH0_FILES"]) / name).read_text(encoding="utf-8")


def read(source: str) -> Any:
    """Parses HCL, with strings unquoted."""
    return _plain(hcl2.loads(source))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(name): _plain(member) for name, member in value.items() if not name.startswith("__")}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value[1:-1] if isinstance(value, str) and value.startswith('"') else value


def read_locals(variables: Variables) -> Any:
    return evaluated(json.loads(written(variables, "access.tf.json"))["locals"])


def evaluated(value: Any) -> Any:
    """Returns what Terraform reads: each string is a template, and holds no expression."""
    if isinstance(value, dict):
        return {evaluated(name): evaluated(member) for name, member in value.items()}
    if isinstance(value, list):
        return [evaluated(member) for member in value]
    if not isinstance(value, str):
        return value
    assert expressions(value) == []
    return re.sub(r"([$%])\1(?=\{)", r"\1", value)


def expressions(template: str) -> list[str]:
    """Returns the interpolations and directives of `template`, parsed as the content of a quoted HCL string."""
    tree = hcl2.parses_to_tree(f"a = {json.dumps(template)}\n")
    return [str(inner) for part in tree.find_data("string_part") for inner in part.children if hasattr(inner, "data")]


@pytest.mark.requirement("auth0.no_expressions")
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_string_stands_for_itself_and_is_no_expression(hostile: str) -> None:
    values = {"one": hostile, "two": {hostile: [hostile, True, 3, None]}}
    assert evaluated(escape_templates(values)) == values  # type: ignore[arg-type]


@pytest.mark.requirement("auth0.no_expressions")
def test_the_test_sees_an_expression_where_one_is() -> None:
    assert expressions("${b}")
    assert expressions("%{if b}x%{endif}")
    assert escape_templates("${a}%{b}") == "$${a}%%{b}"


@pytest.mark.requirement("auth0.no_expressions")
def test_whatever_the_access_file_holds_is_data(variables: Variables) -> None:
    def change(access: Any) -> None:
        access["resource"]["name"] = 'MCP "${var.x}" %{if true}'
        for scope, hostile in zip(access["scopes"].values(), HOSTILE, strict=False):
            scope["description"] = hostile
        access["clients"] = {'${a}"b\\': {"name": "%{x}\n}", "redirect_uris": ["http://127.0.0.1/${path.root}"]}}

    edit(variables, change)
    assert render() == 0
    found = read_locals(variables)
    assert list(found["scopes"].values()) == HOSTILE[:4]
    assert found["resource"]["name"] == 'MCP "${var.x}" %{if true}'
    assert found["clients"] == {'${a}"b\\': {"name": "%{x}\n}", "callbacks": ["http://127.0.0.1/${path.root}"]}}


def test_the_terraform_says_what_the_access_file_says(variables: Variables, capsys: pytest.CaptureFixture[str]) -> None:
    assert render() == 0
    access = load_access(Path(variables["ACCESS_FILE"]))
    found = read_locals(variables)
    assert found["resource"] == {"identifier": RESOURCE, "name": access.resource.name}
    assert found["scopes"] == {name: scope.description for name, scope in access.scopes.items()}
    assert {role: set(scopes) for role, scopes in found["roles"].items()} == {
        role: set(access.scopes_granted_by(frozenset({role}))) for role in access.roles
    }
    assert found["clients"]["mcp-native"]["callbacks"] == list(access.clients["mcp-native"].redirect_uris)
    assert found["tenant_domain"] == "acme.eu.auth0.com"
    capsys.readouterr()
    assert run(["bootstrap", "--provider", "auth0", "plan"]) == 0
    assert capsys.readouterr().out == "no changes\n"


def test_the_plan_names_the_values_that_would_change(variables: Variables, capsys: pytest.CaptureFixture[str]) -> None:
    assert render() == 0
    edit(variables, lambda access: access["resource"].update(name="Another"))
    capsys.readouterr()
    assert run(["bootstrap", "--provider", "auth0", "plan"]) == 0
    (change, _) = capsys.readouterr().out.splitlines()
    assert change.startswith("access.tf.json: locals.resource.name: ")
    assert change.endswith('→ "Another"')


def test_every_local_that_is_used_is_written_and_every_one_written_is_used(variables: Variables) -> None:
    assert render() == 0
    found = read_locals(variables)
    assert set(re.findall(r"\blocal\.([a-z_]+)", written(variables, "main.tf"))) == set(found)


def resources(variables: Variables) -> dict[str, dict[str, Any]]:
    assert render() == 0
    blocks = read(written(variables, "main.tf"))["resource"]
    return {
        f"{kind}.{name}": body for block in blocks for kind, bodies in block.items() for name, body in bodies.items()
    }


def test_the_plan_as_json_has_the_same_changes(variables: Variables, capsys: pytest.CaptureFixture[str]) -> None:
    plan = ["bootstrap", "--provider", "auth0", "plan", "--json"]
    assert run(plan) == 0
    created = json.loads(capsys.readouterr().out)
    assert [(change["object"], change["action"]) for change in created["changes"]] == [
        ("access.tf.json", "create"),
        ("main.tf", "create"),
    ]
    assert created["folder"] == variables["AUTH0_FILES"]
    assert not Path(variables["AUTH0_FILES"]).exists()
    assert render() == 0
    edit(variables, lambda access: access["resource"].update(name="Another"))
    capsys.readouterr()
    assert run(plan) == 0
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    field = {"name": "locals.resource.name", "old": "MCP demo server", "new": "Another"}
    assert (change["object"], change["fields"]) == ("access.tf.json", [field])
    assert render() == 0
    capsys.readouterr()
    assert run(plan) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changes"] == []
    assert "not verified against a live tenant" in found["warnings"][0]


@pytest.mark.parametrize("profile", ["open-dev", "loopback-only", "initial-access-token", "closed", "cimd"])
def test_registration_is_open_only_where_file_and_variable_both_allow_it(variables: Variables, profile: str) -> None:
    edit(variables, lambda access: access["registration"].update(profile=profile, document_domains=["claude.ai"]))
    tenant = resources(variables)["auth0_tenant.mcp"]
    (flags,) = tenant["flags"]
    assert flags["enable_dynamic_client_registration"] == "${local.registration.anonymous && var.open_registration}"
    documents = tenant["client_id_metadata_document_supported"]
    assert documents == "${local.registration.documents && var.any_client_document}"
    found = read_locals(variables)
    opens = {"anonymous": profile in {"open-dev", "loopback-only"}, "documents": profile == "cimd"}
    assert found["registration"] == opens
    variable = {n: v for block in read(written(variables, "main.tf"))["variable"] for n, v in block.items()}
    assert [v["default"] for v in variable.values()] == [False, False, False]


def test_no_token_is_issued_without_an_end_user(variables: Variables) -> None:
    found = resources(variables)
    (rules,) = found["auth0_resource_server.mcp"]["subject_type_authorization"]
    assert (rules["client"], rules["user"]) == ([{"policy": "deny_all"}], [{"policy": "require_client_grant"}])
    grants = [body for name, body in found.items() if name.startswith("auth0_client_grant.")]
    assert [grant["subject_type"] for grant in grants] == ["user", "user"]
    assert found["auth0_resource_server.mcp"]["enforce_policies"] is True
    assert found["auth0_client.mcp"]["grant_types"] == ["authorization_code", "refresh_token"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: None, "with any redirect URI, so registration stays off"),
        (lambda a: a["registration"].update(profile="initial-access-token"), "no initial access tokens"),
        (
            lambda a: a["registration"].update(profile="cimd", document_domains=["claude.ai"]),
            "no setting of the Terraform provider limits the domains",
        ),
        (lambda a: a.update(introspect_for=["mcp:admin"]), "remove introspect_for"),
        (lambda a: a.update(groups={"staff": ["mcp-reader"]}), "groups are not created"),
        (lambda a: a.update(machine_clients=SERVICE_CLIENT), "machine_clients of the access file are not rendered"),
        (lambda a: a.update(upstreams={"orders": {"name": "Orders"}}), "upstreams of the access file are not rendered"),
        (lambda a: a.update(claims=["email"]), "claims of the access file are not rendered"),
        (lambda _: None, "demo users are not created"),
        (lambda _: None, "not verified against a live tenant"),
    ],
)
def test_what_auth0_cannot_do_is_stated_in_the_file_and_on_standard_error(
    variables: Variables, capsys: pytest.CaptureFixture[str], change: Callable[[Any], object], message: str
) -> None:
    edit(variables, change)
    assert render() == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if message in line]
    assert line.startswith("warning: ")
    assert line.removeprefix("warning: ") in json.loads(written(variables, "access.tf.json"))["//"]


def test_what_the_access_file_does_not_use_is_not_spoken_of(
    variables: Variables, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render() == 0
    assert not re.search("not rendered|groups|introspect_for", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("changed", "change", "message"),
    [
        ({"OAUTH_SERVER_URL": ""}, lambda _: None, "OAUTH_SERVER_URL=: write the tenant's issuer"),
        ({"OAUTH_SERVER_URL": "http://acme.auth0.com/"}, lambda _: None, "OAUTH_SERVER_URL"),
        ({"OAUTH_SERVER_URL": "https://acme.auth0.com"}, lambda _: None, "with its trailing slash"),
        ({"MCP_PUBLIC_URL": "http://mcp.example.com/mcp"}, lambda _: None, "unencrypted"),
        ({}, lambda a: a.update(scope_prefix="api://x/"), "scope_prefix"),
        ({}, lambda a: a["resource"].update(name="a<b"), "resource.name"),
    ],
)
def test_settings_that_cannot_work_are_rejected(
    variables: Variables, changed: Variables, change: Callable[[Any], object], message: str
) -> None:
    edit(variables, change)
    with pytest.raises(ConfigError, match=re.escape(message)):
        Auth0Settings.load({**variables, **changed})


def test_a_custom_domain_is_not_mistaken_for_the_tenant_s(
    variables: Variables, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OAUTH_SERVER_URL", "https://login.example.com/")
    assert render() == 0
    assert read_locals(variables)["tenant_domain"] is None
    assert "AUTH0_DOMAIN" in capsys.readouterr().out


def test_a_missing_file_is_named(variables: Variables, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(variables["ACCESS_FILE"]).parent / "auth0" / "main.tf").unlink()
    assert render() == 2
    assert "main.tf: cannot be read" in capsys.readouterr().err


def test_the_guide_names_every_setting_of_the_rendering() -> None:
    guide = (ROOT / "docs" / "providers" / "auth0.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if name not in guide] == []
