from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("upstream.sees_the_person", "RS-16", "Behind a tool another API sees the person, by this server."),
    Requirement("upstream.role", "ours", "Who lacks the role gets a tool error that says so."),
    Requirement("upstream.one_audience", "RS-13, RS-16", "A token is good here or at the other API, never at both."),
    Requirement("upstream.our_client_only", "ours", "On Keycloak no client but the server's own exchanges tokens."),
    Requirement("upstream.kept", "ours", "apply, check and removal know all that upstreams need."),
    Requirement("upstream.stack", "ours", "The stack's other API is locked as the server is, and published nowhere."),
    Requirement("upstream.others_stay", "ours", "An API's own client stays, and a foreign scope is not taken over."),
)
