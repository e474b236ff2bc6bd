"""The registration proxy in front of Microsoft Entra ID, rendered from the access file."""
