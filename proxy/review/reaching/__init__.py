"""Who can do what: what remains of rules and denies once a part of the request is known."""
