"""The front before Microsoft Entra ID, rendered from the access file."""
