"""A module that cannot be imported."""

raise ValueError("password=secret")
