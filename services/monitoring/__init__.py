"""What an operator looks at: functions, queues, dead letters, traces. Runs in function images."""
