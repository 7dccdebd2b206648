"""Facts: what a policy looks up about users, documents and the like; loaded from their sources, cached by key."""
