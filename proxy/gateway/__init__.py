"""Centrifugo's server API for backends: each call is decided by the policy of the service whose key it carries."""
