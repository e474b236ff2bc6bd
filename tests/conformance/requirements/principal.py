from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("principal.claims", "ours", "Tools read the claims that the access file names, and no others."),
    Requirement(
        "principal.claims_bounded", "ours", "Claims are plain values with one bound for all; others are left out."
    ),
)
