output "dashboard_name" {
  description = "The dashboard's name; null without one."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}

output "alarm_topic_arn" {
  description = "The topic that alarms notify; null without alarms."
  value       = one(aws_sns_topic.alarms[*].arn)
}

output "alarm_names" {
  description = "By function, the alarms that a release watches while a new version gets a share of the calls."
  value = {
    for name in keys(var.functions) : name => sort([
      for key in concat(
        [for kind in ["age", "canary", "dead-letters", "duration", "errors", "failed-events", "throttles"] : "${name}-${kind}"],
        contains(var.http_functions, name) ? ["api-5xx", "api-latency"] : [],
      ) : aws_cloudwatch_metric_alarm.this[key].alarm_name if contains(keys(local.alarms), key)
    ])
  }
}
