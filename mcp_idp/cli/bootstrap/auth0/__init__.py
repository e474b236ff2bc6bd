"""Auth0: renders its configuration as Terraform files. It makes no requests to Auth0."""
