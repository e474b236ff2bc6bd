"""The Keycloak bootstrap: reads a realm, plans the changes that `access.yaml` requires, applies and verifies them."""
