"""From the syntax tree to plans: types, names, what is proven, and every finding."""
