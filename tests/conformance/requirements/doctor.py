from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "doctor.cause_first", "issue 8", "For each staged complaint the doctor names the cause in its first finding."
    ),
    Requirement("doctor.advice_mends", "issue 8", "Doing what a finding says makes the doctor find nothing."),
    Requirement("doctor.healthy", "issue 8", "On a healthy server it finds nothing, and exits with 0."),
    Requirement("doctor.every_kind_staged", "ours", "Whatever the doctor can find, a test stages."),
    Requirement("doctor.waits", "ours", "What depends on a fault is not checked, and the report says on which."),
    Requirement(
        "doctor.other_servers", "issue 8", "It works with servers that are not ours, and says what does not apply."
    ),
    Requirement(
        "doctor.writes_nothing", "ours", "Without --register it writes nothing; with it, each trial is taken back."
    ),
    Requirement(
        "doctor.hostile", "ours", "No answer is too long or too slow, leads elsewhere, or steers the terminal."
    ),
    Requirement("doctor.no_token_shown", "ours", "A token handed over is never shown and goes to the server only."),
    Requirement("doctor.exit_codes", "issue 8", "0 no problems, 1 findings, 2 usage, 3 unreachable."),
    Requirement("doctor.certificate", "issue 8", "A certificate that clients refuse is explained."),
    Requirement("doctor.documented", "ours", "docs/doctor.md lists the checks and findings as they are."),
    Requirement(
        "doctor.probe", "issue 8", "If asked it tries the nine weaknesses, at the admin client's own provider only."
    ),
    Requirement("doctor.fix", "issue 8", "It shows what an apply would write, asks, writes it, and looks again."),
    Requirement("inspect.rules", "issue 8", "Each rule of the server is told with what it expected and got, in order."),
    Requirement("inspect.verdict", "issue 8", "The exit code is 0 exactly if the server would take the token."),
    Requirement("inspect.offline", "issue 8", "With a key set in a file nothing is asked over the network."),
    Requirement("inspect.no_token_shown", "issue 8", "The token is never printed, and never taken as an argument."),
    Requirement("inspect.settings", "ours", "The settings are the server's, from the environment and then from .env."),
    Requirement("token.stdout", "issue 8", "The token stands alone on standard output, and nowhere else."),
    Requirement(
        "token.device", "RFC 8628", "The device flow polls as it is told, and ends with the token or the reason."
    ),
    Requirement("token.credentials", "RFC 6749 section 4.4", "A client's secret from a file brings its own token."),
    Requirement(
        "token.unregisters", "RFC 7592 section 2.3", "The registration is taken back, unless it is to be kept."
    ),
)
