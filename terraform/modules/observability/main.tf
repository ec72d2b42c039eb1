# Alarms, the topic that they notify, and the dashboard. Metric names, by namespace:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  region     = data.aws_region.current.id
  account    = data.aws_caller_identity.current.account_id
  topic_arns = aws_sns_topic.alarms[*].arn

  functions = var.alarms_enabled ? var.functions : {}
  queues    = var.alarms_enabled ? var.queues : {}
  logs      = var.alarms_enabled ? var.log_groups : {}
  # By its functions, since `api_id` is unknown before the API exists.
  apis     = var.alarms_enabled && length(var.http_functions) > 0 ? { api = var.api_id } : {}
  sign_ins = { for name in compact([var.sign_in_function]) : name => local.logs[name] if contains(keys(local.logs), name) }
  servers  = var.alarms_enabled && var.database != null ? { for i, id in var.database.instance_identifiers : tostring(i) => id } : {}
}

# -- notification

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish to a topic under Amazon's key for SNS, and alarms contain names and numbers only.
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

# AWS sends one e-mail to the address; its link confirms the subscription.
resource "aws_sns_topic_subscription" "operator" {
  count = var.alarms_enabled && var.operator_email != null ? 1 : 0

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.operator_email
}

# -- log metrics

locals {
  log_metric_namespace = "Darkroom"
  logged_errors        = "${var.prefix}-logged-errors"
  failed_sign_ins      = "${var.prefix}-failed-sign-ins"
}

# Errors that a function logs and handles itself, so that no other metric counts them, for example an
# order that start-orders could not start. Dead letters have an alarm of their own.
resource "aws_cloudwatch_log_metric_filter" "logged_errors" {
  for_each = local.logs

  name           = local.logged_errors
  log_group_name = each.value
  pattern        = "{ $.level = \"error\" && $.event != \"dead_letter_sent\" }"

  metric_transformation {
    namespace = local.log_metric_namespace
    name      = local.logged_errors
    value     = "1"
  }
}

# Failures that a function reports instead of raising: failed messages of a batch, responses with 5xx
# and logged errors. AWS/Lambda counts them as successes. By version, so that a release sees those of the new one.
resource "aws_cloudwatch_log_metric_filter" "failures" {
  for_each = { for name in keys(local.functions) : name => local.logs[name] if contains(keys(local.logs), name) }

  name           = "${var.prefix}-${each.key}-failures"
  log_group_name = each.value
  pattern        = "{ ($.event = \"message_failed\") || ($.event = \"request_failed\") || (($.level = \"error\") && ($.event != \"dead_letter_sent\")) }"

  metric_transformation {
    namespace  = local.log_metric_namespace
    name       = "${var.prefix}-${each.key}-failures"
    value      = "1"
    dimensions = { version = "$.version" }
  }
}

# Refused sign-ins: wrong credentials, and attempts over the limit. Many of them in a short time are
# guessed passwords.
resource "aws_cloudwatch_log_metric_filter" "failed_sign_ins" {
  for_each = local.sign_ins

  name           = local.failed_sign_ins
  log_group_name = each.value
  pattern        = "{ ($.event = \"request_rejected\") && (($.problem = \"wrong-credentials\") || ($.problem = \"too-many-attempts\")) }"

  metric_transformation {
    namespace = local.log_metric_namespace
    name      = local.failed_sign_ins
    value     = "1"
  }
}

# -- alarms

locals {
  # The metrics that functions write, and their dimensions besides `function`. A test compares them with
  # services/platform/metrics.py.
  metric_namespace = "Darkroom"
  metrics = {
    Photos            = ["outcome", "reason"]
    UploadToDeveloped = []
    PhotoBytes        = []
    QueueWait         = []
    Retries           = []
    FailedEvents      = ["outcome"]
    FailedRequests    = []
    DuplicatesRefused = []
    Payments          = ["outcome"]
    Emails            = ["outcome"]
    ColdStarts        = []
    InitDuration      = []
    MemoryUsed        = []
  }
  # What a function calls itself: its name on Lambda, the manifest's name in a worker.
  queue_functions = { for name in keys(local.queues) : name => try(local.functions[name].name, name) }

  # An alarm has either `metric` with its `dimensions`, or `percent_of`: two metrics whose quotient in
  # percent it compares. Keys are the alarms' names without the prefix. `runbook` is a page in
  # docs/how-to/runbooks.
  alarm_defaults = {
    namespace           = null
    metric              = null
    dimensions          = null
    percent             = null
    statistic           = null
    percentile          = null
    period              = 60
    evaluation_periods  = 1
    datapoints_to_alarm = null
    comparison          = "GreaterThanThreshold"
    missing_data        = "notBreaching"
    low_samples         = null
    notify              = true
  }

  function_alarms = merge({}, [
    for name, function in local.functions : {
      # Of the alias: it includes the errors of a new version that gets a share of the calls.
      "${name}-errors" = {
        runbook             = "errors"
        description         = "${name} raises, crashes or times out in more than ${var.thresholds.error_percent} % of its calls. Its log has the tracebacks."
        threshold           = var.thresholds.error_percent
        evaluation_periods  = 3
        datapoints_to_alarm = 2
        percent = {
          label = "errors, % of calls"
          part  = { namespace = "AWS/Lambda", name = "Errors", dimensions = { FunctionName = function.name, Resource = "${function.name}:${function.alias_name}" } }
          whole = { namespace = "AWS/Lambda", name = "Invocations", dimensions = { FunctionName = function.name, Resource = "${function.name}:${function.alias_name}" } }
        }
      }
      "${name}-throttles" = {
        runbook             = "throttles"
        description         = "Calls of ${name} are throttled: its concurrency limit or the account's is reached."
        namespace           = "AWS/Lambda"
        metric              = "Throttles"
        dimensions          = { FunctionName = function.name }
        statistic           = "Sum"
        evaluation_periods  = 5
        datapoints_to_alarm = 3
        threshold           = 1
        comparison          = "GreaterThanOrEqualToThreshold"
      }
      "${name}-duration" = {
        runbook            = "duration"
        description        = "One call in a hundred of ${name} takes more than ${var.thresholds.timeout_percent} % of its timeout of ${function.timeout_seconds} s."
        namespace          = "AWS/Lambda"
        metric             = "Duration"
        dimensions         = { FunctionName = function.name }
        percentile         = "p99"
        period             = 300
        evaluation_periods = 2
        threshold          = function.timeout_seconds * 10 * var.thresholds.timeout_percent # ms
        # A percentile of a few calls has no meaning.
        low_samples = "ignore"
      }
      "${name}-init" = {
        runbook     = "init"
        description = "New environments of ${name} need more than ${function.init_ms * var.thresholds.init_percent / 100} ms until the handler is ready; its budget is ${function.init_ms} ms."
        namespace   = local.metric_namespace
        metric      = "InitDuration"
        dimensions  = { function = function.name }
        statistic   = "Average"
        period      = 900
        threshold   = function.init_ms * var.thresholds.init_percent / 100 # ms
      }
      "${name}-cold-starts" = {
        runbook             = "cold-starts"
        description         = "More than ${var.thresholds.cold_start_percent} % of the calls of ${name} wait for a new environment."
        threshold           = var.thresholds.cold_start_percent
        period              = 900
        evaluation_periods  = 4
        datapoints_to_alarm = 3
        percent = {
          label = "cold starts, % of calls"
          # Few calls are cold at any rate.
          expression = "IF(FILL(whole, 0) > ${var.thresholds.cold_start_calls}, 100 * FILL(part, 0) / whole, 0)"
          part       = { namespace = local.metric_namespace, name = "ColdStarts", dimensions = { function = function.name } }
          whole      = { namespace = "AWS/Lambda", name = "Invocations", dimensions = { FunctionName = function.name } }
        }
      }
    }
  ]...)

  # For releases only, so without notification: `errors`, `dead-letters` and `api-5xx` notify. Lambda
  # counts calls by version while an alias has weights:
  # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html#metrics-dimensions
  canary_alarms = {
    for name, function in local.functions : "${name}-canary" => {
      runbook             = "canary"
      description         = "Version ${function.version} of ${name} logs failed messages, 5xx or errors in more than ${var.thresholds.error_percent} % of its calls. A release watches it."
      threshold           = var.thresholds.error_percent
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      notify              = false
      percent = {
        label = "failures, % of calls"
        part  = { namespace = local.log_metric_namespace, name = "${var.prefix}-${name}-failures", dimensions = { version = function.version } }
        whole = { namespace = "AWS/Lambda", name = "Invocations", dimensions = { FunctionName = function.name, Resource = "${function.name}:${function.alias_name}", ExecutedVersion = function.version } }
      }
    } if contains(keys(local.logs), name)
  }

  queue_alarms = merge({}, [
    for name, queue in local.queues : {
      "${name}-dead-letters" = {
        runbook     = "dead-letters"
        description = "Messages of ${name} failed for good. `darkroom dead-letters list` shows the reasons, `replay` sends them back."
        namespace   = "AWS/SQS"
        metric      = "ApproximateNumberOfMessagesVisible"
        dimensions  = { QueueName = queue.dead_letter_name }
        statistic   = "Maximum"
        threshold   = 0
        # SQS stops reporting for an inactive queue, which may still hold dead letters.
        missing_data = "ignore"
      }
      "${name}-age" = {
        runbook = "age"
        # SQS leaves messages out that were received more than three times: a poisoned message does not
        # hide the age of the others, and `failed-events` reports it.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        description        = "A message of ${name} is older than ${var.thresholds.age_seconds} s: too little concurrency, or repeated failures."
        namespace          = "AWS/SQS"
        metric             = "ApproximateAgeOfOldestMessage"
        dimensions         = { QueueName = queue.name }
        statistic          = "Maximum"
        evaluation_periods = 5
        threshold          = var.thresholds.age_seconds
      }
    }
  ]...)

  # Lambda also counts the messages of calls that crash, time out or are refused, which write no metric of
  # their own. A worker has the function's metric only.
  failed_events = merge(
    {
      for name, queue in local.queues : name => {
        namespace  = local.metric_namespace
        metric     = "FailedEvents"
        dimensions = { function = local.queue_functions[name], outcome = "retry" }
      } if queue.event_source == null
    },
    {
      for name, queue in local.queues : name => {
        namespace  = "AWS/Lambda"
        metric     = "FailedInvokeEventCount"
        dimensions = { EventSourceMappingUUID = queue.event_source.uuid }
      } if queue.event_source != null
    },
  )
  failed_event_alarms = {
    for name, counted in local.failed_events : "${name}-failed-events" => merge(counted, {
      runbook            = "failed-events"
      description        = "More than ${var.thresholds.failed_events} messages of ${name} failed in 5 minutes and are repeated, twice in a row: an outage, or a poisoned message."
      statistic          = "Sum"
      period             = 300
      evaluation_periods = 2
      threshold          = var.thresholds.failed_events
    })
  }

  photo_alarms = {
    for name in [for name in keys(local.queues) : name if name == var.photo_function] : "${name}-photo-latency" => {
      runbook            = "photo-latency"
      description        = "One photo in a hundred waits more than ${var.thresholds.photo_seconds} s from its upload until it is developed."
      namespace          = local.metric_namespace
      metric             = "UploadToDeveloped"
      dimensions         = { function = local.queue_functions[name] }
      percentile         = "p99"
      period             = 300
      evaluation_periods = 3
      threshold          = var.thresholds.photo_seconds * 1000 # ms
      low_samples        = "ignore"
    }
  }

  api_alarms = merge({}, [
    for name, id in local.apis : {
      "${name}-5xx" = {
        runbook             = "api-5xx"
        description         = "More than ${var.thresholds.api_error_percent} % of the API's responses are 5xx."
        threshold           = var.thresholds.api_error_percent
        evaluation_periods  = 3
        datapoints_to_alarm = 2
        percent = {
          label = "5xx, % of requests"
          part  = { namespace = "AWS/ApiGateway", name = "5xx", dimensions = { ApiId = id } }
          whole = { namespace = "AWS/ApiGateway", name = "Count", dimensions = { ApiId = id } }
        }
      }
      "${name}-latency" = {
        runbook            = "api-latency"
        description        = "One request in a hundred takes more than ${var.thresholds.api_latency_ms} ms."
        namespace          = "AWS/ApiGateway"
        metric             = "Latency"
        dimensions         = { ApiId = id }
        percentile         = "p99"
        period             = 300
        evaluation_periods = 2
        threshold          = var.thresholds.api_latency_ms
        low_samples        = "ignore"
      }
    }
  ]...)

  sign_in_alarms = {
    for name in keys(local.sign_ins) : "failed-sign-ins" => {
      runbook     = "failed-sign-ins"
      description = "More than ${var.thresholds.failed_sign_ins} sign-ins were refused in 15 minutes, perhaps guessed passwords. The API's access log has the networks that called ${name}."
      namespace   = local.log_metric_namespace
      metric      = local.failed_sign_ins
      statistic   = "Sum"
      period      = 900
      threshold   = var.thresholds.failed_sign_ins
    }
  }

  log_alarms = {
    for name in length(local.logs) > 0 ? ["logged-errors"] : [] : name => {
      runbook     = "logged-errors"
      description = "A function has logged an error. To find it, query all log groups of the lab in Logs Insights: filter level = 'error' and event != 'dead_letter_sent'."
      namespace   = local.log_metric_namespace
      metric      = local.logged_errors
      statistic   = "Sum"
      period      = 300
      threshold   = 1
      comparison  = "GreaterThanOrEqualToThreshold"
    }
  }

  server_metrics = {
    connections = { metric = "DatabaseConnections", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = var.thresholds.database_connections, problem = "has more than ${var.thresholds.database_connections} connections" }
    cpu         = { metric = "CPUUtilization", statistic = "Average", comparison = "GreaterThanThreshold", threshold = var.thresholds.database_cpu_percent, problem = "uses more than ${var.thresholds.database_cpu_percent} % of its CPU" }
    memory      = { metric = "FreeableMemory", statistic = "Minimum", comparison = "LessThanThreshold", threshold = var.thresholds.database_memory_mib * 1048576, problem = "has less than ${var.thresholds.database_memory_mib} MiB of free memory" }
    # Not of Aurora, whose storage grows without a limit of ours.
    storage = { metric = "FreeStorageSpace", statistic = "Minimum", comparison = "LessThanThreshold", threshold = var.thresholds.database_storage_gib * 1073741824, problem = "has less than ${var.thresholds.database_storage_gib} GiB of free storage" }
    # Of Aurora Serverless only.
    capacity = { metric = "ACUUtilization", statistic = "Average", comparison = "GreaterThanThreshold", threshold = 90, problem = "uses more than 90 % of its maximum capacity" }
  }
  database_alarms = {
    for pair in setproduct(keys(local.servers), keys(local.server_metrics)) : "database-${join("-", pair)}" => {
      runbook            = "database"
      description        = "${local.servers[pair[0]]} ${local.server_metrics[pair[1]].problem}."
      namespace          = "AWS/RDS"
      metric             = local.server_metrics[pair[1]].metric
      dimensions         = { DBInstanceIdentifier = local.servers[pair[0]] }
      statistic          = local.server_metrics[pair[1]].statistic
      period             = 300
      evaluation_periods = 3
      threshold          = local.server_metrics[pair[1]].threshold
      comparison         = local.server_metrics[pair[1]].comparison
      missing_data       = "missing" # a server without metrics may be down
    } if pair[1] != (try(var.database.serverless, false) ? "storage" : "capacity")
  }

  alarms = {
    for name, alarm in merge(local.function_alarms, local.canary_alarms, local.queue_alarms, local.failed_event_alarms, local.photo_alarms, local.api_alarms, local.log_alarms, local.sign_in_alarms, local.database_alarms) :
    name => merge(local.alarm_defaults, alarm) if !contains(var.omitted_alarms, alarm.runbook)
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name                            = "${var.prefix}-${each.key}"
  alarm_description                     = "${each.value.description} Runbook: docs/how-to/runbooks/${each.value.runbook}.md"
  namespace                             = each.value.namespace
  metric_name                           = each.value.metric
  dimensions                            = each.value.dimensions
  statistic                             = each.value.statistic
  extended_statistic                    = each.value.percentile
  period                                = each.value.percent == null ? each.value.period : null
  evaluation_periods                    = each.value.evaluation_periods
  datapoints_to_alarm                   = each.value.datapoints_to_alarm
  threshold                             = each.value.threshold
  comparison_operator                   = each.value.comparison
  treat_missing_data                    = each.value.missing_data
  evaluate_low_sample_count_percentiles = each.value.low_samples
  alarm_actions                         = each.value.notify ? local.topic_arns : []
  ok_actions                            = each.value.notify ? local.topic_arns : []
  tags                                  = var.tags

  dynamic "metric_query" {
    for_each = each.value.percent == null ? [] : [each.value.percent]

    content {
      id          = "percent"
      expression  = try(metric_query.value.expression, "IF(FILL(whole, 0) > 0, 100 * FILL(part, 0) / whole, 0)")
      label       = metric_query.value.label
      return_data = true
    }
  }

  dynamic "metric_query" {
    for_each = { for id in ["part", "whole"] : id => each.value.percent[id] if each.value.percent != null }

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        period      = each.value.period
        stat        = "Sum"
      }
    }
  }
}

# Until version 0.2 each kind of alarm was a resource of its own. Their keys depend on the caller, so
# `moved` cannot name them. Terraform forgets them instead, and creates the same alarms again:
# CloudWatch overwrites an alarm of the same name.
removed {
  from = aws_cloudwatch_metric_alarm.errors

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_cloudwatch_metric_alarm.throttles

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_cloudwatch_metric_alarm.duration

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_cloudwatch_metric_alarm.dead_letters

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_cloudwatch_metric_alarm.age

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_cloudwatch_metric_alarm.api_errors

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_cloudwatch_metric_alarm.api_latency

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_cloudwatch_metric_alarm.logged_errors

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_cloudwatch_metric_alarm.database

  lifecycle {
    destroy = false
  }
}
