from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("tests.every_promise_is_shown", "ours", "Every promise has a test and every test names a promise."),
    Requirement(
        "code.one_direction", "ours", "Imports go one way: app, gate, verify and scopes, principal and errors."
    ),
    Requirement("code.one_reader", "ours", "Only the settings read the environment."),
)
