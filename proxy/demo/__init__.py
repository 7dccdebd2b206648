"""The demonstration: people and documents in SQLite, their sign-in, a page, and a scenario that real clients play."""
