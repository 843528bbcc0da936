"""File lists of the asset trees, and where every scene settles."""
