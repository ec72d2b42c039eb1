"""The load test: photos at a given rate through a whole lab, and books that must balance.

command        the options, one run from beginning to end
plan           what is asked for
stage          what a run needs of a lab: `containers` (LocalStack, the real images) or
               `embedded` (no Docker)
photos         the photos; `generator` uploads them, an open loop
conduct        generator, faults and observation together; gives a Run
evidence       what is there at the end; `accounting` balances it; `doubts` settles e-mails
               of which nobody knows
worker_log     what the workers logged; `figures` makes percentiles, memory and cost of it
report         the page and its JSON, with `plots`; `summary` for the terminal
"""
