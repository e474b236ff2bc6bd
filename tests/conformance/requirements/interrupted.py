from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("interrupted.completes", "ours", "An apply that broke off after any write is completed by the next."),
    Requirement("interrupted.shut", "ours", "A realm whose apply broke off lets in nobody whom the profile would not."),
)
