# Scales the number of tasks by the backlog, from and to zero.
#
# Tasks are added by the messages that wait, and removed once none waits or is in flight, so that no task
# with messages is stopped. Each step of the policy is a number of tasks, not a change, so repeated
# evaluation gives the same result, and it works from zero tasks.

locals {
  # At most 20 steps: https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-limits.html
  steps      = min(20, var.scaling.maximum_tasks)
  tasks      = [for i in range(local.steps) : max(1, var.scaling.minimum_tasks, ceil(var.scaling.maximum_tasks * (i + 1) / local.steps))]
  capacities = [for i in range(local.steps) : ceil(var.scaling.maximum_tasks * (i + 1) / local.steps)]

  cluster_name = element(split("/", var.cluster_arn), length(split("/", var.cluster_arn)) - 1)
}

resource "aws_appautoscaling_target" "this" {
  count = var.autoscaling_enabled ? 1 : 0

  service_namespace  = "ecs"
  resource_id        = "service/${local.cluster_name}/${aws_ecs_service.this.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = var.scaling.minimum_tasks
  max_capacity       = var.scaling.maximum_tasks
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "backlog" {
  count = var.autoscaling_enabled ? 1 : 0

  name               = "${local.service_name}-backlog"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  step_scaling_policy_configuration {
    adjustment_type         = "ExactCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 60

    # Bounds are above the alarm's threshold, which is one message.
    dynamic "step_adjustment" {
      for_each = range(local.steps)

      content {
        scaling_adjustment          = local.tasks[step_adjustment.value]
        metric_interval_lower_bound = step_adjustment.value == 0 ? 0 : local.capacities[step_adjustment.value - 1] * var.scaling.backlog_per_task
        metric_interval_upper_bound = step_adjustment.value == local.steps - 1 ? null : local.capacities[step_adjustment.value] * var.scaling.backlog_per_task
      }
    }
  }
}

resource "aws_appautoscaling_policy" "idle" {
  count = var.autoscaling_enabled ? 1 : 0

  name               = "${local.service_name}-idle"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  step_scaling_policy_configuration {
    adjustment_type         = "ExactCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 60

    step_adjustment {
      scaling_adjustment          = var.scaling.minimum_tasks
      metric_interval_upper_bound = 0
    }
  }
}

locals {
  alarms = var.autoscaling_enabled ? {
    backlog = {
      says       = "Sets the number of tasks."
      comparison = "GreaterThanOrEqualToThreshold"
      minutes    = 1
      action     = aws_appautoscaling_policy.backlog[0].arn
      # SQS may not report messages in flight while there are none, and a sum with a missing metric is
      # missing: the scale-out depends on one metric only.
      expression = "waiting"
      metrics    = { waiting = "ApproximateNumberOfMessagesVisible" }
    }
    idle = {
      says       = "Removes the tasks when the queue is empty."
      comparison = "LessThanThreshold"
      minutes    = var.scaling.idle_minutes
      action     = aws_appautoscaling_policy.idle[0].arn
      expression = "FILL(waiting, 0) + FILL(in_flight, 0)"
      metrics    = { waiting = "ApproximateNumberOfMessagesVisible", in_flight = "ApproximateNumberOfMessagesNotVisible" }
    }
  } : {}
}

resource "aws_cloudwatch_metric_alarm" "scaling" {
  for_each = local.alarms

  alarm_name          = "${local.service_name}-${each.key}"
  alarm_description   = "${each.value.says} ALARM is normal here, not a failure."
  comparison_operator = each.value.comparison
  threshold           = 1
  evaluation_periods  = each.value.minutes
  treat_missing_data  = "notBreaching"
  alarm_actions       = [each.value.action]
  tags                = var.tags

  metric_query {
    id          = "backlog"
    expression  = each.value.expression
    label       = "messages"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = var.queue.name }
        period      = 60
        stat        = "Maximum"
      }
    }
  }
}
