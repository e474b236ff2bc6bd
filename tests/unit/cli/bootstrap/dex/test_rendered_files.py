"""The files that the bootstrap renders for Dex and its proxy."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mcp_idp.cli.bootstrap.dex.commands import COMMANDS, DexRun
from mcp_idp.cli.bootstrap.dex.settings import DexSettings, check_profile
from mcp_idp.cli.bootstrap.dex.templates import read_source
from mcp_idp.cli.bootstrap.errors import ConfigError
from mcp_idp.cli.bootstrap.options import BootstrapOptions
from mcp_idp.cli.subcommands import run as command

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_idp.cli.bootstrap.dex.templates import Json

ROOT = Path(__file__).parents[5]
RESOURCE = "http://localhost:3000/mcp"
Variables = dict[str, str]


@pytest.fixture
def variables(tmp_path: Path) -> Variables:
    """Returns variables with a copy of our files and an output folder."""
    shutil.copytree(ROOT / "idp-config", tmp_path / "idp-config")
    return {"ACCESS_FILE": str(tmp_path / "idp-config" / "access.yaml"), "DEX_FILES": str(tmp_path / "run")}


def run(variables: Variables) -> tuple[DexRun, list[str]]:
    message: list[str] = []
    return DexRun(variables, message.append, cost=4), message


def edit(variables: Variables, name: str, change: Callable[[Json], object]) -> None:
    path = Path(variables["ACCESS_FILE"]).parent / name
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def config(variables: Variables) -> Json:
    return run(variables)[0].config


def clients(variables: Variables) -> dict[str, Json]:
    return {client["id"]: client for client in config(variables)["staticClients"]}


def test_a_second_run_changes_nothing(variables: Variables) -> None:
    first, message = run(variables)
    first.write()
    assert message[-1] == "5 changes"
    second, message = run(variables)
    second.write()
    assert message == ["no changes"]


def test_a_changed_password_is_reported_and_not_printed(variables: Variables) -> None:
    run(variables)[0].write()
    edit(variables, "access.yaml", lambda a: a["demo_users"]["reader"].update(password="hunter2", roles=["mcp-writer"]))
    changed, message = run(variables)
    changed.print_changes()
    text = "\n".join(message)
    assert "dex/config.yaml: staticPasswords.reader.hash: <hidden> → <hidden>" in message
    assert "dex/config.yaml: staticPasswords.reader.groups: +mcp-writer -mcp-reader" in message
    assert "hunter2" not in text
    assert "$2b$" not in text


def test_the_plan_as_json_has_the_same_fields_and_no_secrets(
    variables: Variables, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    run(variables)[0].write()
    new = {"password": "hunter3", "roles": ["mcp-reader"]}
    edit(variables, "access.yaml", lambda a: a["demo_users"]["reader"].update(password="hunter2", roles=["mcp-writer"]))
    edit(variables, "access.yaml", lambda a: a["demo_users"].update(newcomer=new))
    assert command(["bootstrap", "--provider", "dex", "plan", "--json"]) == 0
    out = capsys.readouterr().out
    found = json.loads(out)
    (change,) = found["changes"]
    fields = {field["name"]: (field["old"], field["new"]) for field in change["fields"]}
    assert (change["object"], change["action"]) == ("dex/config.yaml", "change")
    assert fields["staticPasswords.reader.hash"] == ("<hidden>", "<hidden>")
    assert fields["staticPasswords.reader.groups"] == (["mcp-reader"], ["mcp-writer"])
    assert fields["staticPasswords.newcomer"][0] is None
    assert fields["staticPasswords.newcomer"][1]["hash"] == "<hidden>"
    assert [secret for secret in ("hunter2", "hunter3", "$2b$", "$2a$") if secret in out] == []
    assert found["folder"] == variables["DEX_FILES"]
    assert command(["bootstrap", "--provider", "dex", "check", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["clean"], found["verifications"]) == (False, [])
    assert [change["object"] for change in found["changes"]] == ["dex/config.yaml"]


def test_a_user_s_groups_are_groups_at_dex_and_a_role_without_effect_there_is_a_warning(
    variables: Variables,
) -> None:
    def name_groups(access: Json) -> None:
        access["groups"] = {"engineering": ["mcp-writer"]}
        access["demo_users"]["nobody"]["groups"] = ["engineering"]
        access["demo_users"]["writer"]["groups"] = ["engineering"]

    assert [line for line in _planned_output(variables) if line.startswith("warning")] == []
    edit(variables, "access.yaml", name_groups)
    users = {user["email"]: user["groups"] for user in config(variables)["staticPasswords"]}
    assert users["nobody"] == ["engineering"]
    assert users["writer"] == ["mcp-writer", "engineering"]
    warnings = [line for line in _planned_output(variables) if line.startswith("warning")]
    assert [line.partition(": Dex")[0] for line in warnings] == [
        "warning: demo_users.reader.roles",
        "warning: demo_users.admin.roles",
    ]


def _planned_output(variables: Variables) -> list[str]:
    planned, message = run(variables)
    planned.print_changes()
    return message


def test_secrets_of_connectors_are_not_shown(variables: Variables) -> None:
    def connect(secret: str) -> None:
        current = {
            "type": "oidc",
            "id": "x",
            "config": {"clientSecret": secret, "bindPW": secret, "issuer": "https://a.example"},
        }
        edit(variables, "dex/dex.yaml", lambda d: d.update(connectors=[current]))

    connect("first-secret")
    run(variables)[0].write()
    connect("second-secret")
    changed, message = run(variables)
    changed.print_changes()
    assert "dex/config.yaml: connectors.x.config.clientSecret: <hidden> → <hidden>" in message
    assert not re.search("first-secret|second-secret", "\n".join(message))


def test_plan_writes_nothing(variables: Variables, capsys: pytest.CaptureFixture[str]) -> None:
    assert COMMANDS["plan"](BootstrapOptions(), variables) == 0
    assert "5 changes" in capsys.readouterr().out
    assert not Path(variables["DEX_FILES"]).exists()


def test_a_damaged_file_is_written_again(variables: Variables) -> None:
    run(variables)[0].write()
    for spoilt in (
        "{{{",
        "[]",
        "staticPasswords: 1\nstaticClients: [1]",
        "staticPasswords: [{email: reader, hash: $2b$04$x}]",
    ):
        path = Path(variables["DEX_FILES"]) / "dex" / "config.yaml"
        path.write_text(spoilt)
        run(variables)[0].write()
        assert yaml.safe_load(path.read_text())["issuer"] == "http://localhost:5556"


def test_dex_s_file_is_its_user_s_only_and_nothing_else_is_left(variables: Variables) -> None:
    run(variables)[0].write()
    folder = Path(variables["DEX_FILES"])
    modes = {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert modes.pop("dex/config.yaml") == 0o600
    assert set(modes) == {"front/Caddyfile", "front/metadata.json", "front/policy.json", "front/register.json"}
    proxy = "".join((folder / name).read_text() for name in modes)
    assert "$2b$" not in proxy
    assert "secret" not in proxy.lower().replace("holds no secret", "")


def test_a_folder_that_cannot_be_written_is_named(variables: Variables, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="DEX_FILES says where"):
        run({**variables, "DEX_FILES": str(tmp_path / "file" / "x")})[0].write()


def test_which_clients_there_are_follows_from_the_registration_profile(variables: Variables) -> None:
    found = {}
    for profile in ("open-dev", "loopback-only", "closed"):
        edit(variables, "access.yaml", partial(_register_as, profile))
        ids = [client for client in clients(variables) if not client.startswith("rendered-")]
        found[profile] = {re.sub(r"\d+$", "nn", client) for client in ids}
        assert clients(variables)[RESOURCE]["trustedPeers"] == [i for i in ids if i != RESOURCE]
        metadata = json.loads(run(variables)[0].desired["front/metadata.json"])
        assert ("registration_endpoint" in metadata) == (profile != "closed")
    known = {RESOURCE, "mcp-native"}
    vendors = {"mcp-vendor-vscode", "mcp-vendor-claude", "mcp-vendor-cursor", "mcp-vendor-chatgpt"}
    assert found == {
        "open-dev": known | vendors | {"mcp-native-nn"},
        "loopback-only": known | {"mcp-native-nn"},
        "closed": known,
    }


def test_a_client_of_the_access_file_keeps_its_redirects(variables: Variables) -> None:
    exact = {"name": "Report", "redirect_uris": ["https://app.example.com/cb", "http://localhost/cb"]}
    edit(variables, "access.yaml", lambda a: a["clients"].update(report=exact))
    found = clients(variables)
    assert found["report"]["redirectURIs"] == exact["redirect_uris"]
    assert "redirectURIs" not in found["mcp-native"]  # loopback without a port: any port
    assert all(client.get("public") for name, client in found.items() if name != RESOURCE and "rendered" not in name)
    assert "redirectURIs" not in found[RESOURCE]
    assert len(found[RESOURCE]["secret"]) > 30


def _register_as(profile: str, access: Json) -> None:
    access["registration"]["profile"] = profile


def _give_reader(role: str, access: Json) -> None:
    access["demo_users"]["reader"]["roles"] = [role]


def _add_client(name: str) -> Callable[[Json], object]:
    return lambda a: a["clients"].update({name: {"name": "x", "redirect_uris": ["http://localhost/"]}})


REJECTED: list[tuple[str, str, Callable[[Json], object]]] = [
    ("clients.mcp-native-03", "access.yaml", _add_client("mcp-native-03")),
    ("clients.mcp-vendor-claude", "access.yaml", _add_client("mcp-vendor-claude")),
    ("choose another id; this is the resource's own", "access.yaml", _add_client(RESOURCE)),
    ("vendor_loopback.vscode", "access.yaml", lambda a: a["registration"].update(vendors={})),
    ("web_origins", "access.yaml", lambda a: a["registration"].update(web_origins=["http://x\n\trespond 200"])),
    ("at most 72 bytes", "access.yaml", lambda a: a["demo_users"]["reader"].update(password="x" * 73)),
    ("no user could log in", "access.yaml", lambda a: a.update(demo_users={})),
    ("is derived from the access file", "dex/dex.yaml", lambda d: d.update(staticClients=[])),
    ("is derived from the access file", "dex/dex.yaml", lambda d: d.update(issuer="http://a.example")),
    ("trusts a request header", "dex/dex.yaml", lambda d: d.update(connectors=[{"type": "authproxy", "id": "x"}])),
    ("accepts every user", "dex/dex.yaml", lambda d: d.update(connectors=[{"type": "mockCallback", "id": "x"}])),
    ("the id 'x y'", "dex/dex.yaml", lambda d: d.update(connectors=[{"type": "oidc", "id": "x y"}])),
    ("the id 'local'", "dex/dex.yaml", lambda d: d.update(connectors=[{"type": "oidc", "id": "local"}])),
    ("front.yaml: pool", "dex/front.yaml", lambda f: f.update(pool=1000)),
    ("metadata.yaml: endpoints", "dex/metadata.yaml", lambda m: m["endpoints"].update(x="/a b")),
]


@pytest.mark.parametrize(("message", "file", "change"), REJECTED, ids=[message for message, _, _ in REJECTED])
def test_settings_that_cannot_work_are_rejected_with_their_place(
    variables: Variables, message: str, file: str, change: Callable[[Json], object]
) -> None:
    edit(variables, file, change)
    with pytest.raises(ConfigError, match=re.escape(message)):
        run(variables)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OAUTH_SERVER_URL", "http://localhost:5556/"),
        ("OAUTH_SERVER_URL", "http://localhost:5556/dex"),
        ("OAUTH_SERVER_URL", "http://localhost:5556/a{b}"),
        ("MCP_PUBLIC_URL", 'http://localhost:3000/"x'),
        ("MCP_PUBLIC_URL", "http://localhost:3000/`x"),
        ("MCP_PUBLIC_URL", "http://localhost:3000/a b"),
        ("DEX_UPSTREAM", "dex:5556 {"),
        ("DEX_UPSTREAM", "http://dex:5556"),
        ("DEX_CONFIG", "../../secret.yaml"),
        ("DEX_CONFIG", "/etc/passwd"),
        ("DEX_CONFIG", "none.yaml"),
        ("ACCESS_FILE", "/nowhere.yaml"),
    ],
)
def test_a_setting_that_could_write_into_the_files_is_rejected(variables: Variables, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(value)):
        run({**variables, name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (len, "demo_users"),  # changes nothing
        (lambda a: a.update(demo_users={}), "registration.profile: open-dev"),
    ],
)
def test_settings_that_are_safe_on_loopback_only_are_rejected_elsewhere(
    variables: Variables, change: Callable[[Json], object], message: str
) -> None:
    edit(variables, "access.yaml", change)
    public = {"OAUTH_SERVER_URL": "https://login.example.com", "MCP_PUBLIC_URL": "https://mcp.example.com/mcp"}
    with pytest.raises(ConfigError, match=message):
        run({**variables, **public})


def test_the_network_is_never_crossed_in_the_clear(variables: Variables) -> None:
    edit(variables, "access.yaml", lambda a: (a.update(demo_users={}), a["registration"].update(profile="closed")))
    with pytest.raises(ConfigError, match="use https"):
        run(
            {
                **variables,
                "OAUTH_SERVER_URL": "http://login.example.com",
                "MCP_PUBLIC_URL": "https://mcp.example.com/mcp",
            }
        )


@pytest.mark.parametrize(
    "example", sorted(path.name for path in (ROOT / "idp-config" / "dex" / "connectors").iterdir())
)
def test_each_connector_opens_its_own_paths_and_no_others(variables: Variables, example: str) -> None:
    edit(variables, "access.yaml", lambda a: a.update(demo_users={}))
    made, _ = run({**variables, "DEX_CONFIG": f"dex.yaml,connectors/{example}"})
    (connector,) = made.config["connectors"]
    caddyfile = made.desired["front/Caddyfile"]
    prompts = connector["type"] == "ldap"
    assert f"@start path /auth /auth/{connector['id']}\n" in caddyfile
    assert (f"@pages path /approval /auth/{connector['id']}/login\n" in caddyfile) == prompts
    assert (f"@callback path /callback /callback/{connector['id']}\n" in caddyfile) == (not prompts)
    assert "local" not in re.findall(r"path .*", caddyfile)
    assert made.config["enablePasswordDB"] is False
    for line in (ROOT / "idp-config" / "dex" / "connectors" / example).read_text().splitlines():
        if re.search(r"(?i)secret:|pw:|cadata|certificate", line):
            assert "$" in line  # from Dex's environment


def test_a_later_file_s_members_override_an_earlier_one_s(variables: Variables) -> None:
    files = "dex.yaml,postgres.yaml,connectors/ldap.yaml,connectors/oidc.yaml"
    made = config({**variables, "DEX_CONFIG": files})
    assert made["storage"]["type"] == "postgres"
    assert [connector["id"] for connector in made["connectors"]] == ["ldap", "oidc"]


def test_the_marker_distinguishes_configurations(variables: Variables) -> None:
    marks = set()
    for role in ("mcp-reader", "mcp-writer"):
        edit(variables, "access.yaml", partial(_give_reader, role))
        run(variables)[0].write()
        marks |= {name for name in clients(variables) if name.startswith("rendered-")}
    assert len(marks) == 2


def test_a_template_with_an_unknown_placeholder_is_rejected(variables: Variables) -> None:
    path = Path(variables["ACCESS_FILE"]).parent / "dex" / "Caddyfile"
    for wrong in ("%%{upstreem}", "%%", "%%{a b}"):
        path.write_text(f"{wrong}\n")
        with pytest.raises(ConfigError, match="Caddyfile: unknown placeholder"):
            run(variables)


@pytest.mark.parametrize("profile", ["cimd", "initial-access-token"])
def test_a_registration_profile_that_dex_does_not_support_is_rejected(profile: str) -> None:
    with pytest.raises(ConfigError, match="Dex does not support"):
        check_profile(profile)


def test_a_container_gets_the_address_of_the_registration_proxy(variables: Variables) -> None:
    with pytest.raises(ConfigError, match="http://front:5556"):
        DexSettings.load({**variables, "RUNNING_IN_CONTAINER": "1"})


def test_nothing_that_users_wrote_is_lost(variables: Variables) -> None:
    settings = DexSettings.load(variables)
    written: dict[str, Any] = yaml.safe_load((settings.sources / "dex.yaml").read_text())
    made = config(variables)
    assert {name: made[name] for name in written} == written
    assert read_source(settings).connectors == []
