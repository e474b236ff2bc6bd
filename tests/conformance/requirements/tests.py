from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("tests.every_promise_is_shown", "ours", "Every requirement has a test and every test names one."),
    Requirement("code.one_direction", "ours", "Imports go one way, from errors up to the commands, without a circle."),
    Requirement("code.one_reader", "ours", "Only the settings read the environment."),
)
