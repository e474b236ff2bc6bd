from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("documents.login", "CIMD draft 01", "A client with a document on a listed host needs no registration."),
    Requirement("documents.refused", "CIMD draft 01", "A document elsewhere or too bold lets nobody in."),
    Requirement("documents.together", "ours", "Feature and policy go together; one without the other is told."),
)
