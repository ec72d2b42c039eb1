"""The load test: uploads photos at a given rate to a whole lab, and reconciles the results.

plan                the options of a run
target              the lab that a run uses: `containers` (LocalStack, function images) or
                    `embedded` (no Docker)
photos              the photos; `generator` uploads them in an open loop
runner              runs generator, faults and observation together; returns a Run
observations        the state at the end; `reconciliation` compares it with the uploads;
                    `unconfirmed_emails` resolves e-mails that may not have been sent
worker_log          reads the workers' logs; `figures` computes percentiles, memory and cost
report              the page and its JSON, with `plots`; `summary` for the terminal
"""
