"""The checks, one module for each part of a login that they look at."""
