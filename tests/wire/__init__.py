"""Tests of `proxy.wire`."""
