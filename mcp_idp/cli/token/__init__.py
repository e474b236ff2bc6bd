"""The command `scripts/token`: obtains an access token and prints it."""
