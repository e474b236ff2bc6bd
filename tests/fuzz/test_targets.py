"""Every seed of the fuzzer keeps its guarantees, and a broken guarantee is found."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_keeps_the_guarantees(name: str) -> None:
    with closing(TARGETS[name]()) as target:
        seeds = list(target.seeds())
        assert len(seeds) >= 5
        for seed in seeds:
            target(seed)
