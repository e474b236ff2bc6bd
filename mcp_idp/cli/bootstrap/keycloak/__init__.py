"""Keycloak: one module per kind of object, each with what is wanted and how it differs from what is there."""
