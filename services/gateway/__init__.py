"""Serves HTTP functions: requests become API Gateway events for execution environments.

    python -m services.gateway CONFIG.json      every HTTP function of a lab, on one port
    python -m services.worker --function FOLDER     one function, in its container

Both behave as an API Gateway HTTP API does with payload format 2.0:

    routes          the function of a method and a path
    events          a request as the event of a function or of the authorizer
    responses       a function's result as an HTTP response, and the gateway's own errors
    pool            a function's environments: started on demand, reused, closed when idle
    authorizer      the Lambda authorizer and the cache of its decisions
    throttle        the stage's rate and burst
    site            the web page's files and its session cookie
    application     handles one request with all of these
    invoke_api      Lambda's Invoke API, served and called
    server          limits for slow and broken clients; start, drain, stop
    configuration   CONFIG.json, or a container's variables
"""
