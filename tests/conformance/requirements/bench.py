"""What measuring has to hold: that figures are what they say, and that a loss is noticed."""

from __future__ import annotations

from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "bench.interleaved",
        "ours",
        "Every round takes one sample of every case, in an order that turns; the first round is left out.",
    ),
    Requirement(
        "bench.paired-ratios",
        "ours",
        "A ratio is the median of ratios formed inside a round, with the middle half of them as its spread.",
    ),
    Requirement(
        "bench.thresholds",
        "ours",
        "A figure that misses its goal is said to miss it, and fails the quick run only if it misses it by more than "
        "the slack.",
    ),
    Requirement(
        "bench.true-requests",
        "ours",
        "What is measured is a call that was answered as it must be: another status ends the run.",
    ),
    Requirement(
        "bench.key-flood",
        "ours",
        "A thousand tokens with unknown key ids inside one cool-down cause one fetch of the key set.",
    ),
    Requirement(
        "bench.junk-flood",
        "ours",
        "Of a flood of opaque junk at most ten tokens are asked about at once and a hundred wait; known tokens and new "
        "signed ones are served all the same.",
    ),
    Requirement("bench.single-flight", "ours", "A hundred uses of one new token at once are one introspection."),
    Requirement(
        "bench.key-rotation",
        "ours",
        "No call fails over a key rotation with overlap or a provider outage of 60 seconds, and a withdrawn key opens "
        "nothing.",
    ),
    Requirement(
        "bench.streams",
        "ours",
        "The rate beside open streams counts only if the numbers were told as they came, with calls in between.",
    ),
    Requirement(
        "bench.provider",
        "ours",
        "The provider that is measured with vouches for what it issued and for nothing else, over a socket too.",
    ),
    Requirement(
        "bench.own-environment",
        "ours",
        "What is only compared with stands in a lock of its own, which has the versions of the server's lock.",
    ),
    Requirement(
        "bench.results",
        "ours",
        "The results name every figure, its spread, its goal and whether it is met, the versions and how to repeat.",
    ),
)
