"""Tools that answer questions about a policy: decisions from files, expressions, tests."""
