"""The load test: photos at a given rate through a whole lab, and books that must balance."""
