"""The access file: what it must say, and what follows from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from mcp_idp.access.models import DownstreamApi
from mcp_idp.access.policy import AccessFileError, load_access
from mcp_idp.cli.bootstrap.access_lint import lint
from mcp_idp.config.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Settings().access_file.read_text(encoding="utf-8")


@pytest.mark.requirement("access.hierarchy")
def test_a_scope_is_good_for_what_it_implies() -> None:
    access = load_access(Settings().access_file)
    assert access.effective_scopes(["mcp:admin"]) == set(access.scopes)
    assert access.effective_scopes(["mcp:notes.write"]) == {"mcp:notes.write", "mcp:notes.read", "mcp:tools"}
    assert access.effective_scopes(["mcp:tools", "openid", "mcp:nonsense"]) == {"mcp:tools"}
    assert access.effective_scopes([]) == frozenset()


@pytest.mark.requirement("access.hierarchy")
def test_a_login_asks_for_all_that_is_not_privileged() -> None:
    access = load_access(Settings().access_file)
    assert access.login_scopes == ("mcp:tools", "mcp:notes.read", "mcp:notes.write")
    assert access.roles == ("mcp-reader", "mcp-writer", "mcp-admin")


@pytest.mark.requirement("access.consistent")
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
        ("  mcp:admin:", "  mcp:tools:", "'mcp:tools' is there twice"),
        ("profile: open-dev", "profile: open", "registration.profile"),
        ("privileged: true", "priviledged: true", "priviledged"),
        ("  nobody: {", "  No Body: {", "demo_users.No Body"),
        ("version: 1", "version: [", "line"),
        ("roles_claim: mcp_roles", "roles_claim: 'a b'", "roles_claim"),
    ],
)
def test_a_file_whose_parts_disagree_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = tmp_path / "access.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(AccessFileError) as rejected:
        load_access(path)
    assert message in str(rejected.value)
    assert str(path) in str(rejected.value)
    assert "\n" not in str(rejected.value)


@pytest.mark.requirement("access.consistent")
def test_a_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"- a list", b"\xff\xfe", b"!!python/object:os.system {}"):
        path = tmp_path / "access.yaml"
        path.write_bytes(content)
        with pytest.raises(AccessFileError):
            load_access(path)
    with pytest.raises(AccessFileError, match="cannot be read"):
        load_access(tmp_path / "missing.yaml")


@pytest.mark.requirement("access.consistent")
def test_the_examples_that_the_file_has_commented_out_work(tmp_path: Path) -> None:
    members = (
        "scope_prefix|introspect_for|issuers|login_scopes|groups|tools|tool_limits|claims|upstreams|machine_clients"
    )
    lines = [re.sub(rf"^# ((?:{members}|  ).*)$", r"\1", line) for line in GOOD.splitlines()]
    prose = re.compile(r"^  +(open-dev|loopback-only|closed|who reaches|the provider)")
    path = tmp_path / "access.yaml"
    path.write_text("\n".join(line for line in lines if not prose.match(line)), encoding="utf-8")
    access = load_access(path)
    assert access.introspect_for == ("mcp:admin",)
    assert access.with_scope_prefix(["x"]) == ["api://6e74172b-be56-4843-9ff4-e66a39bb12e3/x"]
    (rules,) = access.issuers.values()
    assert rules.model_fields_set == set(type(rules).model_fields)
    assert access.groups == {"engineering": ("mcp-writer",), "acme:platform": ("mcp-writer", "mcp-admin")}
    assert {name: limit.calls_per_minute for name, limit in access.tool_limits.items()} == {"weather": 30}
    assert access.tools == {"my_orders": (), "delete_everything": ("mcp:admin",)}
    assert {name: service_client.roles for name, service_client in access.machine_clients.items()} == {
        "nightly-report": ("mcp-reader",),
        "importer": ("mcp-writer",),
    }
    assert access.claims == ("email", "department")
    assert access.roles_by_scope["orders.read"] == ("mcp-writer", "mcp-admin")
    assert access.upstreams["orders-api"].model_fields_set == set(DownstreamApi.model_fields)


@pytest.mark.requirement("access.consistent")
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
def test_claims_and_upstreams_that_would_open_something_are_refused(tmp_path: Path, members: str, message: str) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(f"{GOOD}\n{members}\n", encoding="utf-8")
    with pytest.raises(AccessFileError, match=re.escape(message)):
        load_access(path)


@pytest.mark.requirement("access.consistent")
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


@pytest.mark.requirement("machines.file")
@pytest.mark.parametrize(
    ("machine", "says"),
    [
        ({}, "exactly one of secret, jwks and jwks_url"),
        ({"secret": "SECRET", "jwks_url": "https://x.example/keys"}, "exactly one of"),
        ({"secret": "hunter2"}, "secret"),  # a secret, and no name of a variable
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
def test_a_machine_client_that_cannot_be_or_tells_a_secret_is_refused(
    tmp_path: Path, machine: dict[str, object], says: str
) -> None:
    path = tmp_path / "access.yaml"
    content = yaml.safe_load(GOOD)
    path.write_text(yaml.safe_dump({**content, "machine_clients": {"robot": {**_SERVICE_CLIENT, **machine}}}))
    with pytest.raises(AccessFileError, match=re.escape(says)) as refused:
        load_access(path)
    assert "hunter2" not in str(refused.value)


@pytest.mark.requirement("machines.file")
@pytest.mark.parametrize("client_id", ["mcp-native", "http://localhost:3000/mcp", "a b", ""])
def test_a_machine_client_has_an_id_of_its_own(tmp_path: Path, client_id: str) -> None:
    path = tmp_path / "access.yaml"
    service_clients = {client_id: {**_SERVICE_CLIENT, "secret": "SECRET"}}
    path.write_text(yaml.safe_dump({**yaml.safe_load(GOOD), "machine_clients": service_clients}))
    with pytest.raises(AccessFileError, match="machine_clients"):
        load_access(path)


@pytest.mark.requirement("access.words")
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
        # Nothing behind it is no list, and to take it for "no list" would let every tool run.
        ("version: 1", "version: 1\ntools:", "tools: must be a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_what_was_meant(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    path = tmp_path / "access.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    line = GOOD[: GOOD.index(old)].count("\n") + 1
    with pytest.raises(AccessFileError, match=re.escape(message.replace("line N:", f"line {line}:"))) as rejected:
        load_access(path)
    text = str(rejected.value)
    assert "\n" not in text
    assert not re.search(r"Input should|Extra inputs|Field required|String should", text)


@pytest.mark.requirement("access.doubts")
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
def test_what_was_hardly_meant_is_a_warning(tmp_path: Path, old: str, new: str, message: list[str]) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    assert list(lint(load_access(path))) == message
