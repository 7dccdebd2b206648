"""Proves what no decision can do, or finds one that does it: decisions as formulas for the solver Z3."""
