"""The worker's http source: HTTP requests become API Gateway events for execution environments.

    python -m services.gateway CONFIG.json      every HTTP function of a lab, on one port
    python -m services.worker --function FOLDER     one function, in its container

Both behave as an API Gateway HTTP API does with payload format 2.0:

    routes          which function answers a method and a path
    events          a request as a function's event, or as the authorizer's
    answers         a function's answer as an HTTP answer, and the gateway's own answers
    pool            a function's environments: started on demand, reused, closed when idle
    authorizer      the Lambda authorizer and the cache of its decisions
    throttle        the stage's rate and burst
    application     puts these together: one request, from its head to its answer
    invoke_api      Lambda's Invoke API, served and called
    server          the HTTP server's manners with bad clients; start, drain, stop
    configuration   CONFIG.json, or a container's variables
"""
