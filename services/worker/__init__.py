"""Runs any function image without Lambda: `python -m services.worker --function FOLDER`.

    host            puts a worker together from its configuration, runs it, stops it
    poller            an execution environment and the thread that feeds it
    queue           SQS: bounded calls, one log line when it goes or comes
    batch           Lambda's contract: the event, and what the function's answer means
    leases          the heartbeat that keeps received messages invisible
    acknowledgement      deletes, backs off, hands back, dead letters
    execution       one process of awslambdaric: start, invoke, end
    runtime_api     Lambda's Runtime API on loopback, one port an environment
    environment     what runs in that process before awslambdaric does
    logs, memory    an environment's output and peak memory; `report` ends each invocation
    stopping        the order of stopping; exit_codes, health: for whoever supervises

Importing this package imports nothing else: it is part of every environment's cold start.
"""
