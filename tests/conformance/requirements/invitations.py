from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("invitations.needed", "RFC 7591 section 3", "Under initial-access-token nobody registers without one."),
    Requirement("invitations.good_for", "RFC 7591 section 3", "An invitation is good for as many clients as it says."),
    Requirement("invitations.no_looser", "ours", "A client that registers with an invitation is held to every rule."),
    Requirement("invitations.documents", "ours", "Profile cimd is refused in words where the feature is off."),
)
