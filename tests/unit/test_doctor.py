"""The doctor, on broken setups of one server and its provider."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from scripts.checkup.catalogue import CHECKS
from scripts.checkup.check import all_findings
from scripts.checkup.checks import discovery, encryption, reach, token
from scripts.checkup.finding import Finding
from tests.unit.clinic import Clinic
from tests.unit.setups import SETUPS, Setup

pytestmark = pytest.mark.anyio


def follow(clinic: Clinic, setup: Setup, finding: Finding) -> None:
    """Do what the finding says."""
    if setup.mend is not None:
        setup.mend(clinic)
    elif finding.url is not None:
        clinic.url = finding.url
    else:
        assert finding.settings, "the finding names nothing to set"
        clinic.env |= finding.settings


@pytest.mark.requirement("doctor.healthy")
async def test_a_healthy_server_has_no_finding() -> None:
    clinic = Clinic(register=True)
    clinic.token = clinic.provider.issuer.token()
    results = await clinic.results()
    assert all_findings(results) == []
    assert [result.check.name for result in results if result.does_not_apply or result.not_checked] == []


@pytest.mark.requirement("doctor.cause_first", "doctor.advice_mends")
@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
async def test_the_cause_comes_first_and_its_advice_mends(setup: Setup) -> None:
    clinic = Clinic()
    setup.breaks(clinic)
    found = all_findings(await clinic.results())
    assert [finding.kind.name for finding in found][:1] == [setup.first]
    assert {finding.kind.name for finding in found} - setup.also == {setup.first}
    follow(clinic, setup, found[0])
    assert set(await clinic.findings()) <= setup.also
