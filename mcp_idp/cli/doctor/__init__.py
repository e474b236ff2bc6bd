"""The doctor: looks at an MCP server and its identity provider from outside and names what keeps clients out.

`checks/` holds one small function a check, `catalogue` their order, `examine` goes through them, `report` tells.
"""
