# The Auth0 configuration for an MCP server, for `terraform apply`. `scripts/bootstrap_idp.py --provider auth0 render`
# copies this file and writes access.tf.json, which contains the values from access.yaml as `local.*`. Change this file
# here, then render again. Not verified against a live tenant: written from the documentation of Auth0 and its Terraform
# provider.
terraform {
  required_version = ">= 1.5"
  required_providers {
    auth0 = {
      source  = "auth0/auth0"
      version = ">= 1.55, < 2"
    }
  }
}

# Set AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET to a machine-to-machine application for the Management API.
provider "auth0" {
  domain = local.tenant_domain # null with a custom domain; then set AUTH0_DOMAIN to the tenant
}

variable "open_registration" {
  description = "Let anybody register a client with any redirect URI, which is all that Auth0's registration knows"
  type        = bool
  default     = false
}

variable "any_client_document" {
  description = "Take the metadata document of a client from any domain"
  type        = bool
  default     = false
}

variable "default_audience" {
  description = "Give every login of the whole tenant this API's audience: for clients that send neither resource nor audience"
  type        = bool
  default     = false
}

# One per tenant. If another configuration already has it, move these settings there and remove this one.
resource "auth0_tenant" "mcp" {
  # Makes Auth0 use `resource` (RFC 8707), which every MCP client sends, if `audience` is missing. Otherwise tokens are
  # opaque.
  resource_parameter_profile            = "compatibility"
  default_audience                      = var.default_audience ? auth0_resource_server.mcp.identifier : null
  client_id_metadata_document_supported = local.registration.documents && var.any_client_document

  flags {
    enable_dynamic_client_registration = local.registration.anonymous && var.open_registration
    use_scope_descriptions_for_consent = true # otherwise the consent page shows scope names
  }
}

resource "auth0_resource_server" "mcp" {
  identifier  = local.resource.identifier # the audience, exactly MCP_PUBLIC_URL; cannot be changed later
  name        = local.resource.name
  signing_alg = "RS256"

  # Role-based: a login grants the requested scopes that one of the user's roles has.
  enforce_policies = true
  # RFC 9068, without the claim `permissions`, which would also list permissions that were not requested.
  token_dialect = "rfc9068_profile"

  # Seconds. Auth0 has no introspection, so a revoked permission remains valid for this long.
  token_lifetime         = 900
  token_lifetime_for_web = 900 # must not be greater than token_lifetime

  allow_offline_access                            = true  # refresh tokens
  skip_consent_for_verifiable_first_party_clients = false # any program can use a public client's id

  subject_type_authorization {
    user {
      policy = "require_client_grant" # only the clients below, and third-party clients through their default grant
    }
    client {
      policy = "deny_all" # no tokens without a user
    }
  }
}

resource "auth0_resource_server_scopes" "mcp" {
  resource_server_identifier = auth0_resource_server.mcp.identifier

  dynamic "scopes" {
    for_each = local.scopes
    content {
      name        = scopes.key
      description = scopes.value
    }
  }
}

resource "auth0_role" "mcp" {
  for_each    = local.roles
  name        = each.key
  description = "Brings scopes of ${local.resource.identifier}"
}

resource "auth0_role_permissions" "mcp" {
  for_each   = local.roles
  role_id    = auth0_role.mcp[each.key].id
  depends_on = [auth0_resource_server_scopes.mcp]

  dynamic "permissions" {
    for_each = each.value
    content {
      name                       = permissions.value
      resource_server_identifier = auth0_resource_server.mcp.identifier
    }
  }
}

# Preregistered public clients.
resource "auth0_client" "mcp" {
  for_each        = local.clients
  name            = each.value.name
  app_type        = "native"
  is_first_party  = true
  oidc_conformant = true
  callbacks       = each.value.callbacks
  grant_types     = ["authorization_code", "refresh_token"]

  jwt_configuration {
    alg = "RS256"
  }

  refresh_token {
    rotation_type                = "rotating" # OAuth 2.1 section 4.3.1
    expiration_type              = "expiring"
    leeway                       = 10      # seconds in which a client may reuse a refresh token, for concurrent refreshes
    token_lifetime               = 7776000 # 90 days
    idle_token_lifetime          = 2592000 # 30 days
    infinite_token_lifetime      = false
    infinite_idle_token_lifetime = false
  }
}

resource "auth0_client_credentials" "mcp" {
  for_each              = local.clients
  client_id             = auth0_client.mcp[each.key].id
  authentication_method = "none" # public client, protected by PKCE
}

resource "auth0_client_grant" "mcp" {
  for_each     = local.clients
  client_id    = auth0_client.mcp[each.key].id
  audience     = auth0_resource_server.mcp.identifier
  scopes       = keys(local.scopes)
  subject_type = "user" # the default "client" means tokens without a user
  depends_on   = [auth0_resource_server_scopes.mcp]
}

# For clients that register themselves or have a metadata document; there is no other way to grant them access to an
# API.
resource "auth0_client_grant" "third_party" {
  count        = local.registration.anonymous && var.open_registration || local.registration.documents && var.any_client_document ? 1 : 0
  default_for  = "third_party_clients"
  audience     = auth0_resource_server.mcp.identifier
  scopes       = keys(local.scopes)
  subject_type = "user"
  depends_on   = [auth0_resource_server_scopes.mcp]
}

output "client_ids" {
  description = "What Auth0 calls the clients of access.yaml"
  value       = { for name, client in auth0_client.mcp : name => client.client_id }
}
