"""Identities: who stands behind a request, by its token, its session, or as a guest."""
