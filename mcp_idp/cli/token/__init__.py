"""Access tokens at the command line: `scripts/token` gets one, `scripts/inspect` says what each rule makes of it."""
