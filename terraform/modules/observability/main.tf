# What the operator sees, and is told of. Metric names: AWS's own documentation, by namespace:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  region  = data.aws_region.current.name
  account = data.aws_caller_identity.current.account_id
  told    = aws_sns_topic.alarms[*].arn

  functions = var.alarms_enabled ? var.functions : {}
  queues    = var.alarms_enabled ? var.queues : {}
  logs      = var.alarms_enabled ? var.log_groups : {}
  # By its functions: whether an id is null is not known before the API is there.
  apis    = var.alarms_enabled && length(var.http_functions) > 0 ? { api = var.api_id } : {}
  servers = var.alarms_enabled && var.database != null ? { for i, id in var.database.instance_identifiers : tostring(i) => id } : {}
}

# -- who is told

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish to a topic under Amazon's key for SNS, and what alarms say (names and numbers) is not worth a key of ours.
  count = var.alarms_enabled ? 1 : 0

  name = "${var.prefix}-alarms"
  tags = var.tags
}

resource "aws_sns_topic_policy" "alarms" {
  count = var.alarms_enabled ? 1 : 0

  arn = aws_sns_topic.alarms[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsOfThisLab"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
        Condition = {
          ArnLike      = { "aws:SourceArn" = "arn:${data.aws_partition.current.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.prefix}-*" }
          StringEquals = { "aws:SourceAccount" = local.account }
        }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# Amazon writes to the address once; the link in there confirms.
resource "aws_sns_topic_subscription" "operator" {
  count = var.alarms_enabled && var.operator_email != null ? 1 : 0

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.operator_email
}

# -- functions

# Of the alias: while a deployment sends a share of the calls to a new version, its errors count here.
resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.functions

  alarm_name          = "${var.prefix}-${each.key}-errors"
  alarm_description   = "${each.key} raises, crashes or times out in more than ${var.thresholds.error_percent} % of its calls. Its log has the tracebacks."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.thresholds.error_percent
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
  tags                = var.tags

  metric_query {
    id          = "percent"
    expression  = "IF(invocations > 0, 100 * errors / invocations, 0)"
    label       = "errors, % of calls"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { errors = "Errors", invocations = "Invocations" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/Lambda"
        metric_name = metric_query.value
        dimensions  = { FunctionName = each.value.name, Resource = "${each.value.name}:${each.value.alias_name}" }
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

# What a function says is an error and deals with itself, so that no other alarm sees it: an order that
# start-orders could not start, say. A dead letter has its own alarm.
resource "aws_cloudwatch_log_metric_filter" "logged_errors" {
  for_each = local.logs

  name           = "${var.prefix}-logged-errors"
  log_group_name = each.value
  pattern        = "{ $.level = \"error\" && $.event != \"dead-letter\" }"

  metric_transformation {
    namespace = "Darkroom"
    name      = "${var.prefix}-logged-errors"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "logged_errors" {
  count = length(local.logs) > 0 ? 1 : 0

  alarm_name          = "${var.prefix}-logged-errors"
  alarm_description   = "A function has logged an error. To find it, ask all of the lab's log groups in Logs Insights: filter level = 'error' and event != 'dead-letter'."
  namespace           = "Darkroom"
  metric_name         = "${var.prefix}-logged-errors"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = local.functions

  alarm_name          = "${var.prefix}-${each.key}-throttles"
  alarm_description   = "Calls of ${each.key} are refused: its concurrency, or the account's, is used up."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = each.value.name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "duration" {
  for_each = local.functions

  alarm_name          = "${var.prefix}-${each.key}-duration"
  alarm_description   = "One call in a hundred of ${each.key} takes more than ${var.thresholds.timeout_percent} % of its ${each.value.timeout_seconds} s."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  dimensions          = { FunctionName = each.value.name }
  extended_statistic  = "p99"
  period              = 300
  evaluation_periods  = 2
  threshold           = each.value.timeout_seconds * 10 * var.thresholds.timeout_percent # ms
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  # Some calls in five minutes say nothing of a hundredth.
  evaluate_low_sample_count_percentiles = "ignore"
  alarm_actions                         = local.told
  ok_actions                            = local.told
  tags                                  = var.tags
}

# -- queues

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = local.queues

  alarm_name          = "${var.prefix}-${each.key}-dead-letters"
  alarm_description   = "Messages of ${each.key} failed for good. `darkroom dead-letters list` says why, `replay` sends them back."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value.dead_letter_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  # SQS stops counting for an idle queue; letters that lie there are still there.
  treat_missing_data = "ignore"
  alarm_actions      = local.told
  ok_actions         = local.told
  tags               = var.tags
}

resource "aws_cloudwatch_metric_alarm" "age" {
  for_each = local.queues

  alarm_name          = "${var.prefix}-${each.key}-age"
  alarm_description   = "A message of ${each.key} waits for more than ${var.thresholds.age_seconds} s: too little concurrency, or failures that come back."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = each.value.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  threshold           = var.thresholds.age_seconds
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
  tags                = var.tags
}

# -- API

resource "aws_cloudwatch_metric_alarm" "api_errors" {
  for_each = local.apis

  alarm_name          = "${var.prefix}-api-5xx"
  alarm_description   = "More than ${var.thresholds.api_error_percent} % of the requests are answered with 5xx."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.thresholds.api_error_percent
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.told
  ok_actions          = local.told
  tags                = var.tags

  metric_query {
    id          = "percent"
    expression  = "IF(requests > 0, 100 * errors / requests, 0)"
    label       = "5xx, % of requests"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { errors = "5xx", requests = "Count" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/ApiGateway"
        metric_name = metric_query.value
        dimensions  = { ApiId = each.value }
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "api_latency" {
  for_each = local.apis

  alarm_name                            = "${var.prefix}-api-latency"
  alarm_description                     = "One request in a hundred takes more than ${var.thresholds.api_latency_ms} ms."
  namespace                             = "AWS/ApiGateway"
  metric_name                           = "Latency"
  dimensions                            = { ApiId = each.value }
  extended_statistic                    = "p99"
  period                                = 300
  evaluation_periods                    = 3
  threshold                             = var.thresholds.api_latency_ms
  comparison_operator                   = "GreaterThanThreshold"
  treat_missing_data                    = "notBreaching"
  evaluate_low_sample_count_percentiles = "ignore"
  alarm_actions                         = local.told
  ok_actions                            = local.told
  tags                                  = var.tags
}

# -- database

locals {
  database_alarms = {
    connections = {
      metric     = "DatabaseConnections"
      statistic  = "Maximum"
      comparison = "GreaterThanThreshold"
      threshold  = var.thresholds.database_connections
      says       = "has more than ${var.thresholds.database_connections} connections"
    }
    cpu = {
      metric     = "CPUUtilization"
      statistic  = "Average"
      comparison = "GreaterThanThreshold"
      threshold  = var.thresholds.database_cpu_percent
      says       = "works at more than ${var.thresholds.database_cpu_percent} % of its CPU"
    }
    memory = {
      metric     = "FreeableMemory"
      statistic  = "Minimum"
      comparison = "LessThanThreshold"
      threshold  = var.thresholds.database_memory_mib * 1048576
      says       = "has less than ${var.thresholds.database_memory_mib} MiB of memory left"
    }
    # Aurora's storage grows by itself.
    storage = {
      metric     = "FreeStorageSpace"
      statistic  = "Minimum"
      comparison = "LessThanThreshold"
      threshold  = var.thresholds.database_storage_gib * 1073741824
      says       = "has less than ${var.thresholds.database_storage_gib} GiB of storage left"
    }
    capacity = {
      metric     = "ACUUtilization"
      statistic  = "Average"
      comparison = "GreaterThanThreshold"
      threshold  = 90
      says       = "is at more than 90 % of its largest capacity"
    }
  }
  of_server = {
    for pair in setproduct(keys(local.servers), keys(local.database_alarms)) :
    join("-", pair) => { server = local.servers[pair[0]], alarm = local.database_alarms[pair[1]] }
    if pair[1] != (try(var.database.serverless, false) ? "storage" : "capacity")
  }
}

resource "aws_cloudwatch_metric_alarm" "database" {
  for_each = local.of_server

  alarm_name          = "${var.prefix}-database-${each.key}"
  alarm_description   = "${each.value.server} ${each.value.alarm.says}."
  namespace           = "AWS/RDS"
  metric_name         = each.value.alarm.metric
  dimensions          = { DBInstanceIdentifier = each.value.server }
  statistic           = each.value.alarm.statistic
  period              = 300
  evaluation_periods  = 3
  threshold           = each.value.alarm.threshold
  comparison_operator = each.value.alarm.comparison
  treat_missing_data  = "missing" # a server that says nothing is not well
  alarm_actions       = local.told
  ok_actions          = local.told
  tags                = var.tags
}
