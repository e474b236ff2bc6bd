"""Validation of access files, and the policy that follows from them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml
from jsonschema import Draft202012Validator

from mcp_idp.access.models import DownstreamApi, ToolLimit
from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.cli.bootstrap.access_lint import lint
from mcp_idp.config.settings import Settings
from scripts.docs.access_schema import SCHEMA, render_schema

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Settings().access_file.read_text(encoding="utf-8")


@pytest.mark.requirement("scopes.hierarchy")
def test_a_scope_is_sufficient_for_what_it_implies() -> None:
    access = load_access(Settings().access_file)
    assert access.effective_scopes(["mcp:admin"]) == set(access.scopes)
    assert access.effective_scopes(["mcp:notes.write"]) == {"mcp:notes.write", "mcp:notes.read", "mcp:tools"}
    assert access.effective_scopes(["mcp:tools", "openid", "mcp:nonsense"]) == {"mcp:tools"}
    assert access.effective_scopes([]) == frozenset()


@pytest.mark.requirement("scopes.hierarchy")
def test_a_login_requests_all_scopes_that_are_not_privileged() -> None:
    access = load_access(Settings().access_file)
    assert access.login_scopes == ("mcp:tools", "mcp:notes.read", "mcp:notes.write")
    assert access.roles == ("mcp-reader", "mcp-writer", "mcp-admin")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1", "version: 2", "version"),
        ("base_scope: mcp:tools", "base_scope: mcp:other", "base_scope: 'mcp:other' is not one of the scopes"),
        ("implies: [mcp:tools]", "implies: [mcp:nothing]", "scopes.mcp:notes.read.implies: 'mcp:nothing'"),
        ("implies: [mcp:tools]", "implies: []", "must imply the base scope"),
        ("implies: [mcp:tools]", "implies: [mcp:admin]", "is circular"),
        (
            "roles: [mcp-writer, mcp-admin]",
            "roles: [mcp-writer]",
            "scopes.mcp:notes.write.roles: must have 'mcp-admin'",
        ),
        ("roles: [mcp-admin] }", "roles: [mcp-boss] }", "demo_users.admin.roles: 'mcp-boss' grants no scope"),
        ("  mcp:admin:", "  'mcp admin':", "scopes"),
        ("  mcp:admin:", "  mcp:tools:", "'mcp:tools' occurs twice"),
        ("profile: open-dev", "profile: open", "registration.profile"),
        ("privileged: true", "priviledged: true", "priviledged"),
        ("  nobody: {", "  No Body: {", "demo_users.No Body"),
        ("version: 1", "version: [", "line"),
        ("roles_claim: mcp_roles", "roles_claim: 'a b'", "roles_claim"),
    ],
)
def test_a_file_whose_parts_disagree_is_rejected(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = tmp_path / "access.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(AccessFileError) as rejected:
        load_access(path)
    assert message in str(rejected.value)
    assert str(path) in str(rejected.value)
    assert "\n" not in str(rejected.value)


def test_a_file_that_is_no_file_is_rejected(tmp_path: Path) -> None:
    for content in (b"", b"- a list", b"\xff\xfe", b"!!python/object:os.system {}"):
        path = tmp_path / "access.yaml"
        path.write_bytes(content)
        with pytest.raises(AccessFileError):
            load_access(path)
    with pytest.raises(AccessFileError, match="cannot be read"):
        load_access(tmp_path / "missing.yaml")


def test_the_examples_that_the_file_has_commented_out_work(tmp_path: Path) -> None:
    members = "scope_prefix|introspect_for|issuers|login_scopes|groups|tools|prompts|resources|methods|claims"
    members += "|upstreams|machine_clients|tool_limits|tool_timeouts|realm"
    lines = [re.sub(rf"^# ((?:{members}|  ).*)$", r"\1", line) for line in GOOD.splitlines()]
    prose = re.compile(r"^  +(reaches the provider|`document_domains`)")
    path = tmp_path / "access.yaml"
    path.write_text("\n".join(line for line in lines if not prose.match(line)), encoding="utf-8")
    access = load_access(path)
    assert access.introspect_for == ("mcp:admin",)
    assert access.tool_timeouts == {"weather": 10}
    assert access.with_scope_prefix(["x"]) == ["api://6e74172b-be56-4843-9ff4-e66a39bb12e3/x"]
    (rules,) = access.issuers.values()
    assert rules.model_fields_set == set(type(rules).model_fields)
    assert access.groups == {"engineering": ("mcp-writer",), "acme:platform": ("mcp-writer", "mcp-admin")}
    assert {name: limit.calls_per_minute for name, limit in access.tool_limits.items()} == {"weather": 30}
    assert access.tools == {"my_orders": (), "delete_everything": ("mcp:admin",)}
    assert access.tool_limits == {"weather": ToolLimit(calls_per_minute=30, calls_in_progress=2)}
    assert access.prompts == {"summary": ()}
    assert access.resources == {"orders://of/{person}": ("mcp:admin",)}
    assert access.methods == {"com.example/export": ("mcp:admin",)}
    assert {name: service_client.roles for name, service_client in access.machine_clients.items()} == {
        "nightly-report": ("mcp-reader",),
        "importer": ("mcp-writer",),
    }
    assert access.realm.model_fields_set == {"owner", "grants"}
    assert access.claims == ("email", "department")
    assert access.roles_by_scope["orders.read"] == ("mcp-writer", "mcp-admin")
    assert access.upstreams["orders-api"].model_fields_set == set(DownstreamApi.model_fields)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("claims: [sub]", "claims.0: 'sub' is a protocol claim"),
        ("claims: [realm_access]", "claims.0: 'realm_access' is a protocol claim"),
        ("claims: [mcp_roles]", "claims: 'mcp_roles' is already in every principal as its roles: remove it"),
        ("claims: ['a b']", "claims.0"),
        (f"claims: [{', '.join(f'c{n}' for n in range(21))}]", "claims"),
        ("upstreams: {a b: {name: A}}", "upstreams.a b"),
        ("upstreams: {a: {}}", "upstreams.a.name"),
        (
            "upstreams: {a: {name: A, url: http://orders.example.com/}}",
            "use https: the exchanged token would cross the network",
        ),
        (
            "upstreams: {a: {name: A, url: 'http://[2001:db8::1]/'}}",
            "use https: the exchanged token would cross the network unencrypted",
        ),
        ("? {a: b}\n: c", "a name is a mapping or a list"),
        ("upstreams: {mcp-native: {name: A}}", "upstreams.mcp-native: is also a login client: use another id"),
        ("upstreams: {a: {name: A, scopes: {s: {description: S, roles: []}}}}", "upstreams.a.scopes.s.roles"),
        (
            "upstreams: {a: {name: A, scopes: {mcp:tools: {description: S, roles: [r]}}}}",
            "upstreams.a.scopes.mcp:tools: the name is already used in scopes",
        ),
        (
            "upstreams: {a: {name: A, scopes: &one {s: {description: S, roles: [r]}}}, b: {name: B, scopes: *one}}",
            "upstreams.b.scopes.s: the name is already used in upstreams.a",
        ),
    ],
)
def test_unsafe_claims_and_upstreams_are_rejected(tmp_path: Path, members: str, message: str) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(f"{GOOD}\n{members}\n", encoding="utf-8")
    with pytest.raises(AccessFileError, match=re.escape(message)):
        load_access(path)


def test_a_demo_user_has_the_roles_of_its_groups_too(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    user = "  nobody: { password: nobody, roles: [mcp-reader], groups: [engineering, 'acme:platform'] }"
    lines = [user if line.startswith("  nobody:") else line for line in GOOD.splitlines()]
    groups = "groups: {engineering: [mcp-writer, mcp-reader], 'acme:platform': [mcp-writer], others: [mcp-admin]}"
    path.write_text("\n".join([*lines, groups]), encoding="utf-8")
    access = load_access(path)
    assert access.roles_of_demo_user(access.demo_users["nobody"]) == ("mcp-reader", "mcp-writer")
    assert access.roles_of_demo_user(access.demo_users["admin"]) == ("mcp-admin",)
    for named, message in (("groups: {enginering: [mcp-writer]}", "did you mean 'enginering'?"), ("", "of the groups")):
        path.write_text("\n".join([*lines, named]), encoding="utf-8")
        with pytest.raises(AccessFileError, match=r"demo_users.nobody.groups: 'engineering' is not one") as rejected:
            load_access(path)
        assert message in str(rejected.value)


_SERVICE_CLIENT = {"name": "A machine", "roles": ["mcp-reader"]}
_KEY = {"kty": "RSA", "n": "AQAB", "e": "AQAB"}


@pytest.mark.parametrize(
    ("service_client", "message"),
    [
        ({}, "exactly one of secret, jwks and jwks_url"),
        ({"secret": "SECRET", "jwks_url": "https://x.example/keys"}, "exactly one of"),
        ({"secret": "hunter2"}, "secret"),  # a secret instead of the name of a variable
        ({"jwks": {"keys": [{**_KEY, "d": "AQAB"}]}}, "private or shared key"),
        ({"jwks": {"keys": [{"kty": "oct"}]}}, "private or shared key"),
        ({"jwks": {"keys": []}}, "key set"),
        ({"jwks": {"kids": [_KEY]}}, "key set"),
        ({"jwks_url": "http://keys.example/jwks"}, "use https"),
        ({"jwks_url": "https://keys.example/jwks#x"}, "without user, query and fragment"),
        ({"secret": "SECRET", "roles": ["mcp-boss"]}, "'mcp-boss' grants no scope"),
        ({"secret": "SECRET", "roles": []}, "roles"),
        ({"secret": "SECRET", "algorithm": "HS256"}, "algorithm"),
    ],
)
def test_a_service_client_that_is_invalid_or_contains_a_secret_is_rejected(
    tmp_path: Path, service_client: dict[str, object], message: str
) -> None:
    path = tmp_path / "access.yaml"
    content = yaml.safe_load(GOOD)
    path.write_text(yaml.safe_dump({**content, "machine_clients": {"robot": {**_SERVICE_CLIENT, **service_client}}}))
    with pytest.raises(AccessFileError, match=re.escape(message)) as raised:
        load_access(path)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("client_id", ["mcp-native", "http://localhost:3000/mcp", "a b", ""])
def test_a_service_client_has_an_id_of_its_own(tmp_path: Path, client_id: str) -> None:
    path = tmp_path / "access.yaml"
    service_clients = {client_id: {**_SERVICE_CLIENT, "secret": "SECRET"}}
    path.write_text(yaml.safe_dump({**yaml.safe_load(GOOD), "machine_clients": service_clients}))
    with pytest.raises(AccessFileError, match="machine_clients"):
        load_access(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("privileged: true", "priviledged: true", "line N: scopes.mcp:admin.priviledged: is not a known key"),
        ("privileged: true", "priviledged: true", "key: did you mean 'privileged'?"),
        (
            "registration:\n  profile",
            "registratoin:\n  profile",
            "line N: registratoin: is not a known key",
        ),
        ("registration:\n  profile", "registratoin:\n  profile", "did you mean 'registration'?"),
        ("registration:\n", "xyzzy: 1\nregistration:\n", "known key: version, resource, base_scope"),
        ("    name: A client", "    nmae: A client", "line N: clients.mcp-native.nmae"),
        ("profile: open-dev", "profile: open", "line N: registration.profile: write 'open-dev', 'loopback-only',"),
        (
            "implies: [mcp:tools]",
            "implies: [mcp:tool]",
            "'mcp:tool' is not one of the scopes: did you mean 'mcp:tools'?",
        ),
        ("roles: [mcp-reader] }", "roles: [mcp-raeder] }", "grants no scope: did you mean 'mcp-reader'?"),
        ("max_clients: 2000", "max_clients: many", "line N: registration.max_clients: must be a whole number"),
        ("implies: [mcp:tools]", "implies: mcp:tools", "scopes.mcp:notes.read.implies: must be a list"),
        ("reader: { password: reader, roles: [mcp-reader] }", "reader: x", "demo_users.reader: must be a mapping"),
        ("roles: [mcp-admin]\n", "roles: []\n", "scopes.mcp:admin.roles: must not be empty"),
        ("roles_claim: mcp_roles", "roles_claim: 'a b'", "roles_claim: must match"),
        ("    name: A client on this machine\n", "", "clients.mcp-native.name: is missing"),
        ("version: 1", "version: 2", "line N: version: write 1"),
        # An empty value is not a list; treating it as absent would allow every tool.
        ("version: 1", "version: 1\ntools:", "tools: must be a mapping"),
    ],
)
def test_an_error_is_reported_with_its_line_and_a_suggestion(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = tmp_path / "access.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    line = GOOD[: GOOD.index(old)].count("\n") + 1
    with pytest.raises(AccessFileError, match=re.escape(message.replace("line N:", f"line {line}:"))) as rejected:
        load_access(path)
    text = str(rejected.value)
    assert "\n" not in text
    assert not re.search(r"Input should|Extra inputs|Field required|String should", text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "roles: [mcp-reader, mcp-writer, mcp-admin]",
            "roles: [mcp-reader, mcp-writer, mcp-admin, mcp-raeder]",
            ["scopes.mcp:tools.roles: 'mcp-raeder' is used nowhere else: did you mean 'mcp-reader'?"],
        ),
        ("roles: [mcp-reader, mcp-writer, mcp-admin]", "roles: [mcp-reader, mcp-writer, mcp-admin, staff]", []),
        ("version: 1", "version: 1\ntools: {hello: [], bye: [mcp:tools], wipe: [mcp:admin]}", []),
        ("version: 1", "version: 1", []),
    ],
)
def test_a_likely_mistake_in_the_access_file_is_a_warning(
    tmp_path: Path, old: str, new: str, message: list[str]
) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    assert list(lint(load_access(path))) == message


_SEVEN = """\
version: 2
resource: {nmae: Orders}
base_scope: orders
scopes:
  orders: {description: Use it, roles: [staff]}
  orders.read: {description: Read, implies: [order], roles: [staff]}
  orders.write: {description: Write, implies: [orders.delete], roles: staff}
  orders.delete: {description: Delete, implies: [orders.write], roles: [staff]}
registration: {profile: open}
demo_users:
  ada: {password: ada, roles: [stuff]}
"""


def test_all_problems_of_a_file_are_reported_at_once_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(_SEVEN, encoding="utf-8")
    with pytest.raises(AccessFileError) as rejected:
        load_access(path)
    assert str(rejected.value).splitlines() == [
        f"{path}: 7 problems",
        "  line 1: version: write 1",
        "  line 2: resource.nmae: is not a known key: did you mean 'name'?",
        "  line 6: scopes.orders.read.implies: 'order' is not one of the scopes: did you mean 'orders'?",
        "  line 7: scopes.orders.write.roles: must be a list, such as [one, other]",
        "  line 7: scopes.orders.write.implies: is circular: orders.write > orders.delete > orders.write",
        "  line 9: registration.profile: write 'open-dev', 'loopback-only', 'initial-access-token', 'closed' or 'cimd'",
        "  line 11: demo_users.ada.roles: 'stuff' grants no scope: did you mean 'staff'?",
    ]


@pytest.mark.parametrize(
    ("members", "problems"),
    [
        # A missing name below a misspelled one is found as well.
        ("registratoin: {profle: closed}", ["registratoin: is not", "registration.profle: is not"]),
        # Duplicate keys are one problem among others, and the first one counts.
        ("registration: {profile: closed}\nversion: 2\nclaims: [sub]", ["'version' occurs twice", "claims.0"]),
        # Only the scope that lacks the base scope is named, not those that imply it.
        (
            (
                "registration: {profile: closed}\n"
                "login_scopes: [a, b, c]\n"
                "scopes: {base: {description: B, roles: [r]}, a: {description: A, roles: [r]},"
                " b: {description: B, roles: [r], implies: [a]}}"
            ),
            ["login_scopes: 'c' is not", "scopes.a.implies: must imply the base scope 'base'"],
        ),
        # Roles of a scope without a list of roles are unknown, so no other role is called unknown.
        (
            "registration: {profile: closed}\nscopes: {base: {description: B}}\ndemo_users: {ada: {roles: [x]}}",
            ["scopes.base.roles: is missing", "demo_users.ada.password: is missing"],
        ),
        # One malformed value of a union is one problem.
        ("registration: {profile: closed}\nscope_prefix: [a]", ["scope_prefix: "]),
        ("registration: [closed]\nclients: 3\ndemo_users: x", ["registration: must", "clients: must", "demo_users: "]),
    ],
)
def test_one_problem_is_reported_once_and_causes_no_other(tmp_path: Path, members: str, problems: list[str]) -> None:
    scopes = "" if "scopes: {base" in members else "scopes: {base: {description: B, roles: [r]}}\n"
    path = tmp_path / "access.yaml"
    path.write_text(f"version: 1\nresource: {{name: R}}\nbase_scope: base\n{scopes}{members}\n", encoding="utf-8")
    with pytest.raises(AccessFileError) as rejected:
        load_access(path)
    lines = re.sub(r"line \d+: ", "", str(rejected.value).removeprefix(f"{path}: ")).split("\n  ")
    found = lines[1:] if lines[0].endswith(" problems") else lines
    assert [start for start in problems if not any(line.startswith(start) for line in found)] == [], found
    assert len(found) == len(problems), found


def test_the_json_schema_is_current_and_accepts_the_access_files() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == render_schema(), "write it again: python -m scripts.docs.access_schema"
    validator = Draft202012Validator(json.loads(render_schema()))
    files = list(SCHEMA.parent.glob("*.yaml"))
    assert len(files) > 1
    for path in files:
        assert list(validator.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))) == []
    assert len(list(validator.iter_errors(yaml.safe_load(_SEVEN)))) >= 3
    members = [*validator.schema["properties"].values()]
    members += [member for model in validator.schema["$defs"].values() for member in model["properties"].values()]
    assert [member for member in members if not member["description"]] == []
