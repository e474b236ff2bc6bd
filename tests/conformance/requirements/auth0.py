from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("auth0.data", "HCL syntax, template expressions", "Nothing in the access file becomes an expression."),
    Requirement(
        "auth0.same_file", "ours", "Scopes, roles, clients and resource in the Terraform are the access file's."
    ),
    Requirement("auth0.closed", "ours", "What is rendered opens no registration that the access file does not open."),
    Requirement("auth0.no_machines", "ours", "No grant that is rendered gives a token without a person."),
    Requirement("auth0.limits", "ours", "What Auth0 cannot do is said in the file and on standard error."),
    Requirement("auth0.refused", "ours", "A setting that cannot work ends with one line that names it."),
)
