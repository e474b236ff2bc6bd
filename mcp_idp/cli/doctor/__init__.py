"""The doctor: examines an MCP server and its identity provider as a client sees them, and reports what prevents logins.

`checks/` holds the checks, `registry` their order, `runner` runs them, and `report` prints the findings.
"""
