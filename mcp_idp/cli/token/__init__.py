"""The command `mcp-idp token`: obtains an access token and prints it."""
