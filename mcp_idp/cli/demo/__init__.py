"""The demo without Docker: an embedded identity provider (nanoidp) and this server on loopback, for one run.

In a checkout its server is the stack's own, `mcp_server`; elsewhere it is `server`. `scenario` runs the demo,
`nanoidp_config` writes the provider's configuration, `processes` starts and stops both.
"""
