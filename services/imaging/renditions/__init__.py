"""The rendition formats: one module each. `registry` lists them."""
