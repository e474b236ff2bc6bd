from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "probe.open", "issue 8", "On a realm as tutorials set it up the probe gets in through all nine weaknesses."
    ),
    Requirement("probe.closed", "issue 8", "After an apply, with the server's switch, it gets in through none."),
    Requirement("probe.cleans_up", "issue 8", "Whatever it registered is gone when it ends, however it ends."),
    Requirement("probe.next", "ours", "What a probe left that was killed the next one removes, and nothing else."),
    Requirement("probe.owner", "issue 8", "It tries nothing for whoever may not remove clients there."),
)
