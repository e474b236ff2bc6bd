"""What the compose files read and the server does not; one letter away from a name of ours it is no typing error."""

from __future__ import annotations

COMPOSE_NAMES = (
    "MCP_PORT",
    "KEYCLOAK_PORT",
    "KEYCLOAK_ADMIN_CLIENT_ID",
    "KC_FEATURES",
    "ACME_CA",
    "ACME_CA_ROOT_FILE",
    "DEX_PORT",
    "DEX_CONFIG",
    "DEX_POSTGRES_PASSWORD",
    "DEX_POSTGRES_HOST",
    "DEX_POSTGRES_SSL",
    "MCP_USER",
    "MCP_PASSWORD",
    "MCP_HOST",
    "LOGIN_HOST",
    "CADDY_TLS",
    "TLS_CERTIFICATE_FILE",
    "TLS_KEY_FILE",
    "HTTPS_PORT",
    "HTTP_PORT",
    "DATABASE_PASSWORD_FILE",
    "KEYCLOAK_DB_URL",
    "KEYCLOAK_HEAP",
    "FRONT_PORT",
)
