"""The command `mcp-idp serve`: serves an MCP application behind OAuth."""
