from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("site.builds", "ours", "The pages of docs/ build strictly: no link and no anchor leads nowhere."),
    Requirement("site.offline", "ours", "No page of the site makes a browser fetch anything from elsewhere."),
    Requirement("site.nav", "ours", "Every page is in the navigation, once."),
    Requirement("site.links", "ours", "Pages link to what is in docs/, and the files that they name otherwise exist."),
    Requirement("site.settings", "ours", "docs/settings.md shows .env.example as it is, every setting in one row."),
    Requirement("site.install", "VS Code and Cursor documentation", "The server's page has links that install it."),
)
