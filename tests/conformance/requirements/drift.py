from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("drift.ten_changes", "ours", "Check names every change made by hand, and an apply fixes it."),
    Requirement("drift.nothing_written", "ours", "Plan and check write nothing and print no secret."),
    Requirement("drift.exit_code", "ours", "Check exits 1 on drift or a weakness and 0 without; plan exits 0."),
    Requirement("drift.same_as_apply", "ours", "An apply tells and writes exactly what plan shows, in its order."),
    Requirement("drift.missing_realm", "ours", "A realm that is not there is named by plan and check, and not made."),
    Requirement("drift.reader", "ours", "An account that may only read this realm is enough for check."),
    Requirement("drift.writer", "ours", "An account limited to this realm is enough for apply, which locks none out."),
)
