"""The command `mcp-idp init`: the files with which an MCP server of one's own gets a login."""
