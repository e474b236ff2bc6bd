"""All checks, in the order of causes: what comes first can be the reason for what comes later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.checkup.checks import (
    borders,
    challenge,
    clocks,
    credentials,
    discovery,
    encryption,
    inside,
    provider,
    reach,
    registration,
    resource,
    token,
)

if TYPE_CHECKING:
    from scripts.checkup.check import Check

# What a login needs to know; the rest is about who else may come, and how well clients are led.
UP_TO_ENDPOINTS: tuple[Check, ...] = (
    *reach.CHECKS,
    *encryption.CHECKS,
    *resource.CHECKS,
    *discovery.CHECKS,
    *provider.CHECKS[:1],
)
CHECKS: tuple[Check, ...] = (
    *reach.CHECKS,
    *encryption.CHECKS,
    *resource.CHECKS,
    *challenge.CHECKS,
    *discovery.CHECKS,
    *provider.CHECKS,
    *clocks.CHECKS,
    *inside.CHECKS,
    *credentials.CHECKS,
    *registration.CHECKS,
    *token.CHECKS,
    *borders.CHECKS,
)
