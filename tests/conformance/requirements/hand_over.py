from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement(
        "hand_over.done", "ours", "After the hand-over apply and check go on, the temporary administrator is refused."
    ),
    Requirement("hand_over.limited", "ours", "No account reaches another realm or makes people or clients in master."),
    Requirement("hand_over.reader", "ours", "The account of check reads what check needs, and may write nothing."),
    Requirement(
        "hand_over.interrupted", "ours", "A hand-over that broke off after any write is completed by the next."
    ),
    Requirement(
        "hand_over.refused",
        "ours",
        "An account that may do too much, or is somebody else's, ends a hand-over; the administrator stays.",
    ),
    Requirement("hand_over.lasting", "ours", "An administrator that is not a temporary one is not removed."),
    Requirement("hand_over.files", "ours", "Each command runs as its own account, once the account was seen to work."),
)
