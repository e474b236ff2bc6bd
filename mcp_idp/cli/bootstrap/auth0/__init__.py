"""Auth0: what it is told, as Terraform. Nothing here talks to Auth0."""
