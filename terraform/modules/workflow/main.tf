# A state machine. Each task is a message with a task token to its function's queue.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  machine_name = "${var.prefix}-${var.name}-workflow"
  partition    = data.aws_partition.current.partition
  account      = data.aws_caller_identity.current.account_id
  machine_arn  = "arn:${local.partition}:states:${data.aws_region.current.id}:${local.account}:stateMachine:${local.machine_name}"
}

resource "aws_iam_role" "this" {
  name        = local.machine_name
  description = "Permissions of the workflow ${var.name}."
  tags        = var.tags

  # Only this state machine may assume the role.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "states.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        ArnLike      = { "aws:SourceArn" = local.machine_arn }
        StringEquals = { "aws:SourceAccount" = local.account }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "workflow"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "SendTasks"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [for name in sort(keys(var.queues)) : var.queues[name].arn]
      }],
      # Actions of log delivery and X-Ray have no resources:
      # https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
      var.logging_enabled ? [{
        Sid    = "DeliverLogs"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery",
          "logs:DeleteLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy",
          "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
        ]
        Resource = ["*"]
      }] : [],
      # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html
      var.tracing_enabled ? [{
        Sid    = "Trace"
        Effect = "Allow"
        Action = [
          "xray:PutTraceSegments", "xray:PutTelemetryRecords",
          "xray:GetSamplingRules", "xray:GetSamplingTargets",
        ]
        Resource = ["*"]
      }] : [],
    )
  })
}

resource "aws_cloudwatch_log_group" "this" {
  count = var.logging_enabled ? 1 : 0

  # All log deliveries of an account share one resource policy of limited size; logs with this prefix
  # need no entry in it.
  name              = "/aws/vendedlogs/states/${local.machine_name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_sfn_state_machine" "this" {
  name     = local.machine_name
  role_arn = aws_iam_role.this.arn
  type     = "STANDARD"
  tags     = var.tags
  definition = templatefile(var.definition_file, {
    for name, queue in var.queues : "queue_${replace(name, "-", "_")}" => queue.url
  })

  dynamic "logging_configuration" {
    for_each = aws_cloudwatch_log_group.this

    content {
      log_destination = "${logging_configuration.value.arn}:*"
      level           = "ERROR"
      # Execution data contains orders of customers and task tokens.
      include_execution_data = false
    }
  }

  dynamic "tracing_configuration" {
    for_each = var.tracing_enabled ? [true] : []

    content {
      enabled = true
    }
  }

  # Step Functions checks the role's permissions when the state machine is created.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = var.alarms_enabled ? {
    failed    = "ExecutionsFailed"
    timed-out = "ExecutionsTimedOut"
    throttled = "ExecutionThrottled"
  } : {}

  alarm_name          = "${local.machine_name}-${each.key}"
  alarm_description   = "Executions of ${local.machine_name} ${each.key}: their orders have no final status. Runbook: docs/how-to/runbooks/workflow.md"
  namespace           = "AWS/States"
  metric_name         = each.value
  dimensions          = { StateMachineArn = aws_sfn_state_machine.this.arn }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = compact([var.alarm_topic_arn])
  ok_actions          = compact([var.alarm_topic_arn])
  tags                = var.tags
}
