"""The catalogue: which photo an owner has, what became of it, and where its renditions lie."""
