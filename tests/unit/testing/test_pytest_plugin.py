"""The pytest plugin, in runs of pytest of their own: with it, beside it, and against a server that accepts all."""

from __future__ import annotations

import re
from pathlib import Path

import jwt
import pytest

from mcp_idp.cli.subcommands import run
from mcp_idp.testing.fake_provider import FakeProvider, hostile_rows
from mcp_idp.testing.issuer import ISSUER, RESOURCE

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "testing-your-server.md").read_text(encoding="utf-8")
PLUGIN = ("-p", "mcp_idp.testing.pytest_plugin", "-q")


@pytest.fixture
def elsewhere(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Returns a directory in which pytest runs with the plugin, as if this project were installed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return pytester


def test_the_tests_of_the_page_pass_for_the_server_that_init_writes(elsewhere: pytest.Pytester) -> None:
    assert run(["init", str(elsewhere.path)]) == 0
    (tests,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    elsewhere.makepyfile(test_server=tests)
    elsewhere.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=2 + len(hostile_rows()))


def test_a_server_that_checks_nothing_fails_for_each_hostile_token(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile("""
        def test_it(mcp_idp_hostile_token):
            assert mcp_idp_hostile_token.token
            assert mcp_idp_hostile_token.source
            assert 200 == 401, mcp_idp_hostile_token.name
        """)
    elsewhere.runpytest_subprocess(*PLUGIN).assert_outcomes(failed=len(hostile_rows()))
    assert len(hostile_rows()) > 100


def test_a_run_that_does_not_use_the_plugin_imports_nothing_for_it(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile("""
        import sys

        def test_it():
            assert {name for name in sys.modules if name.startswith("mcp_idp")} == {
                "mcp_idp", "mcp_idp.testing", "mcp_idp.testing.pytest_plugin"
            }
            assert not {"httpx", "jwt", "mcp", "uvicorn", "cryptography", "pydantic"} & sys.modules.keys()
        """)
    elsewhere.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_fixture_of_the_same_project_may_have_a_general_name(elsewhere: pytest.Pytester) -> None:
    """Every name of the plugin begins with the package's."""
    fixtures = elsewhere.runpytest_subprocess(*PLUGIN, "--fixtures").stdout.str()
    own = re.findall(r"^(\w+).*mcp_idp/testing/pytest_plugin\.py", fixtures, re.MULTILINE)
    assert sorted(own) == ["mcp_idp_environment", "mcp_idp_hostile_token", "mcp_idp_provider"]


def test_the_server_in_the_environment_is_the_one_that_tokens_are_for(elsewhere: pytest.Pytester) -> None:
    elsewhere.makepyfile("""
        from mcp_idp import load_settings

        def test_it(mcp_idp_environment, pytestconfig):
            settings = load_settings(mcp_idp_environment)
            assert str(settings.access_file) == str(pytestconfig.rootpath / "idp-config" / "access.yaml")

        def test_the_provider_answers(mcp_idp_provider):
            import urllib.request

            url = mcp_idp_provider.environment["OAUTH_INTERNAL_URL"]
            with urllib.request.urlopen(f"{url}/protocol/openid-connect/certs") as response:
                assert b'"kid"' in response.read()
            assert mcp_idp_provider.issuer.key_fetches == 1
        """)
    elsewhere.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=2)


def test_a_token_has_the_claims_that_were_asked_for() -> None:
    provider = FakeProvider("http://127.0.0.1:1/realms/mcp")
    token = provider.token(scopes=["a", "b"], subject="ada", roles=["r"], azp=..., email="ada@example.com")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, RESOURCE, "ada")
    assert (claims["scope"], claims["mcp_roles"], claims["email"]) == ("a b", ["r"], "ada@example.com")
    assert claims["exp"] - claims["iat"] == 300
    assert "azp" not in claims
    assert jwt.decode(provider.token(aud="x"), options={"verify_signature": False})["aud"] == "x"
