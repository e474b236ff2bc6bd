"""The command `mcp-idp init`: writes the files that an MCP server needs for logins."""
