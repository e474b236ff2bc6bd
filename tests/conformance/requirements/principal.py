from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "principal.told_apart", "ours", "Callers whose claims differ in type only are not taken for each other."
    ),
    Requirement("principal.claims", "ours", "Tools read the claims that the access file names, and no others."),
    Requirement(
        "principal.claims_bounded", "ours", "Claims are plain values with one bound for all; others are left out."
    ),
)
