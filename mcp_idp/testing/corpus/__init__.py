"""The corpus of hostile tokens, requests and connections, as data: `families` lists all rows, `model` defines them.

A row has a request, the server that it is sent to, and the expected response. `assertions` checks the response.
"""

from __future__ import annotations
