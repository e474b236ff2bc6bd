# What an MCP server needs at Auth0, for `terraform apply`. `scripts/bootstrap_idp.py --provider auth0 render` puts this
# file beside access.tf, which holds what follows from access.yaml as `local.*`. Change it here, then render again.
# Not verified against a live tenant: written from the documents of Auth0 and of its Terraform provider.
terraform {
  required_version = ">= 1.5"
  required_providers {
    auth0 = {
      source  = "auth0/auth0"
      version = ">= 1.55, < 2"
    }
  }
}

# AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET in the environment: a machine-to-machine application for the Management API.
provider "auth0" {
  domain = local.tenant_domain # null with a custom domain: then AUTH0_DOMAIN in the environment says which tenant
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

# One for the whole tenant. If another configuration has it already, put these settings there and take this one out.
resource "auth0_tenant" "mcp" {
  # `resource` (RFC 8707), which every MCP client sends, counts where `audience` is missing. Without it tokens are opaque.
  resource_parameter_profile            = "compatibility"
  default_audience                      = var.default_audience ? auth0_resource_server.mcp.identifier : null
  client_id_metadata_document_supported = local.registration.documents && var.any_client_document

  flags {
    enable_dynamic_client_registration = local.registration.anonymous && var.open_registration
    use_scope_descriptions_for_consent = true # else the consent page shows the names of scopes
  }
}

resource "auth0_resource_server" "mcp" {
  identifier  = local.resource.identifier # the audience, byte for byte MCP_PUBLIC_URL; cannot be changed later
  name        = local.resource.name
  signing_alg = "RS256"

  # Roles decide: a login brings the scopes that it asks for and that one of the person's roles has.
  enforce_policies = true
  # RFC 9068, without the claim `permissions`: that would list what the person may do, asked for or not.
  token_dialect = "rfc9068_profile"

  # Seconds. Nobody can ask Auth0 whether a token still counts, so this is how long a withdrawn right does.
  token_lifetime         = 900
  token_lifetime_for_web = 900 # must not be greater

  allow_offline_access                            = true  # refresh tokens
  skip_consent_for_verifiable_first_party_clients = false # anybody's program can use a public client's id

  subject_type_authorization {
    user {
      policy = "require_client_grant" # only the clients below, and third-party ones by their default grant
    }
    client {
      policy = "deny_all" # no token without a person
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

# Public clients known beforehand.
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
    leeway                       = 10      # seconds in which a client that refreshes twice at once is no thief
    token_lifetime               = 7776000 # 90 days
    idle_token_lifetime          = 2592000 # 30 days
    infinite_token_lifetime      = false
    infinite_idle_token_lifetime = false
  }
}

resource "auth0_client_credentials" "mcp" {
  for_each              = local.clients
  client_id             = auth0_client.mcp[each.key].id
  authentication_method = "none" # public: PKCE says who it is
}

resource "auth0_client_grant" "mcp" {
  for_each     = local.clients
  client_id    = auth0_client.mcp[each.key].id
  audience     = auth0_resource_server.mcp.identifier
  scopes       = keys(local.scopes)
  subject_type = "user" # the default is "client": tokens without a person
  depends_on   = [auth0_resource_server_scopes.mcp]
}

# For clients that register themselves or are known by a document: there is no other way to let them at an API.
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
