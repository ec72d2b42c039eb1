# Alarms are most of a plan's resources. The module `observability` tests them, and the test of the
# environment `production` has them all.
omitted_alarms = [
  "age", "api-5xx", "api-latency", "canary", "cold-starts", "database", "dead-letters", "duration", "errors",
  "failed-events", "init", "logged-errors", "photo-latency", "throttles",
]
