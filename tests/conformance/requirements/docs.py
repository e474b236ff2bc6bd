from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("docs.blocks_run", "ours", "The shell blocks of README do what the text says, as they stand."),
    Requirement("docs.snippets", "ours", "README shows the same client configuration as the server's page."),
    Requirement("docs.own_tool", "ours", "The tool that README shows is served as it stands."),
    Requirement(
        "docs.own_keycloak", "ours", "The page on Keycloak leads from one of somebody's own to a login, as it stands."
    ),
    Requirement("docs.links", "ours", "What README and its neighbours link to inside the repository exists."),
    Requirement("docs.no_place", "ours", "No file names a machine's path or a package registry's host."),
)
