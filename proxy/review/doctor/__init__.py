"""The doctor: what in a Centrifugo configuration lets clients past the policy, or keeps its hooks from being asked."""
