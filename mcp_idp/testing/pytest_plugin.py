"""The pytest plugin: fixtures for the tests of a server that `mcp_idp` protects.

pytest imports it in every run where `mcp-idp` is installed, so it imports nothing else until a test asks for a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_idp.testing.corpus.model import Attack
    from mcp_idp.testing.fake_provider import FakeProvider, HostileToken

_HOSTILE = "mcp_idp_hostile_token"


@pytest.fixture(scope="session")
def mcp_idp_provider() -> Iterator[FakeProvider]:
    """A fake identity provider that runs on this machine; `token(scopes=…, subject=…)` returns an access token."""
    from mcp_idp.testing.fake_provider import run_provider  # noqa: PLC0415 - see the module's docstring

    with run_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def mcp_idp_environment(mcp_idp_provider: FakeProvider, pytestconfig: pytest.Config) -> dict[str, str]:
    """The settings of a server that trusts `mcp_idp_provider`, as environment variables, for `load_settings`."""
    access_file = str(pytestconfig.rootpath / "idp-config" / "access.yaml")
    return {**mcp_idp_provider.environment, "ACCESS_FILE": access_file}


@pytest.fixture
def mcp_idp_hostile_token(mcp_idp_provider: FakeProvider, request: pytest.FixtureRequest) -> HostileToken:
    """A hostile token, another one in each run of the test; a server must answer each with 401."""
    row: Attack = request.param
    return mcp_idp_provider.hostile_token(row)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that asks for `mcp_idp_hostile_token` once for each of them."""
    if _HOSTILE in metafunc.fixturenames:
        from mcp_idp.testing.fake_provider import hostile_rows  # noqa: PLC0415 - see the module's docstring

        metafunc.parametrize(_HOSTILE, [pytest.param(row, id=row.id) for row in hostile_rows()], indirect=True)
