"""The input formats: one module each. `registry` lists them."""
