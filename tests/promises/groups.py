from tests.requirements import Requirement

REQUIREMENTS = (
    Requirement("groups.dex", "ours", "At Dex a demo user's groups are groups, and roles that count nothing are told."),
)
