"""The corpus of hostile tokens, requests and connections, as data: `families` lists all rows, `model` says what one is.

A row says what is sent, to which server, and what must be answered. `assertions` checks a server's answer.
"""

from __future__ import annotations
