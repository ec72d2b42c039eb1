output "dashboard_name" {
  description = "The dashboard; null without one."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}

output "alarm_topic_arn" {
  description = "The topic that alarms go to; null without alarms."
  value       = one(aws_sns_topic.alarms[*].arn)
}

# A deployment watches these while a new version takes a share of the calls.
output "alarm_names" {
  description = "Names of the alarms that show a failure of each function."
  value = {
    for name in keys(var.functions) : name => sort(concat(
      [for alarms in [aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.throttles, aws_cloudwatch_metric_alarm.duration] : alarms[name].alarm_name if can(alarms[name])],
      [for alarms in [aws_cloudwatch_metric_alarm.dead_letters, aws_cloudwatch_metric_alarm.age] : alarms[name].alarm_name if can(alarms[name])],
      contains(var.http_functions, name) ? concat(
        [for alarm in aws_cloudwatch_metric_alarm.api_errors : alarm.alarm_name],
        [for alarm in aws_cloudwatch_metric_alarm.api_latency : alarm.alarm_name],
      ) : [],
    ))
  }
}
