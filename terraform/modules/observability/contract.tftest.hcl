mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:darkroom-alarms" }
  }
}

variables {
  functions = {
    process-image = { name = "darkroom-process-image", timeout_seconds = 60, version = "7", init_ms = 350 }
    get-image     = { name = "darkroom-get-image", timeout_seconds = 15, version = "3", init_ms = 300 }
  }
  queues = {
    process-image = { name = "darkroom-process-image", dead_letter_name = "darkroom-process-image-dead-letters" }
  }
  log_groups = {
    process-image = "/ecs/darkroom-process-image"
    get-image     = "/aws/lambda/darkroom-get-image"
  }
  api_id         = "a1b2c3"
  http_functions = ["get-image"]
  photo_function = "process-image"
  workflow_arns  = { order = "arn:aws:states:eu-central-1:123456789012:stateMachine:darkroom-order-workflow" }
  database       = { instance_identifiers = ["darkroom-database"], serverless = false }
  operator_email = "operator@darkroom.example"
}

run "operator_is_notified_by_email" {
  command = apply

  assert {
    condition     = aws_sns_topic_subscription.operator[0].endpoint == "operator@darkroom.example" && aws_sns_topic_subscription.operator[0].protocol == "email"
    error_message = "expected a subscription by e-mail"
  }
  assert {
    condition     = jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement[0].Condition.ArnLike["aws:SourceArn"] == "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:darkroom-*" && length([for s in jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement : s if s.Effect == "Allow"]) == 1
    error_message = "expected only this lab's alarms to publish"
  }
  assert {
    condition = alltrue([
      for name, alarm in aws_cloudwatch_metric_alarm.this : alarm.ok_actions == alarm.alarm_actions && alarm.alarm_actions == toset(
        endswith(name, "-canary") ? [] : ["arn:aws:sns:eu-central-1:123456789012:darkroom-alarms"]
      )
    ])
    error_message = "expected every alarm but those of releases to notify, and to notify when it ends"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 2 * 5 + 2 + 3 + 1 + 2 + 1 + 4
    error_message = "expected alarms of functions, canaries, queues, API, logs and database"
  }
}

run "logged_errors_are_counted_on_lambda_and_workers" {
  command = apply

  assert {
    condition     = jsonencode({ for name, filter in aws_cloudwatch_log_metric_filter.logged_errors : name => filter.log_group_name }) == jsonencode({ process-image = "/ecs/darkroom-process-image", get-image = "/aws/lambda/darkroom-get-image" })
    error_message = "expected a filter on every function's log group"
  }
  assert {
    condition = alltrue([
      for filter in values(aws_cloudwatch_log_metric_filter.logged_errors) : (
        filter.pattern == "{ $.level = \"error\" && $.event != \"dead_letter_sent\" }"
        && filter.metric_transformation[0].namespace == aws_cloudwatch_metric_alarm.this["logged-errors"].namespace
        && filter.metric_transformation[0].name == aws_cloudwatch_metric_alarm.this["logged-errors"].metric_name
      )
    ])
    error_message = "expected the alarm to count logged errors without dead letters"
  }
}

run "first_dead_letter_alarms" {
  command = apply

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["process-image-dead-letters"].dimensions.QueueName == "darkroom-process-image-dead-letters"
      && aws_cloudwatch_metric_alarm.this["process-image-dead-letters"].metric_name == "ApproximateNumberOfMessagesVisible"
      && aws_cloudwatch_metric_alarm.this["process-image-dead-letters"].comparison_operator == "GreaterThanThreshold"
      && aws_cloudwatch_metric_alarm.this["process-image-dead-letters"].threshold == 0
    )
    error_message = "expected an alarm at the first dead letter"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["process-image-age"].metric_name == "ApproximateAgeOfOldestMessage" && aws_cloudwatch_metric_alarm.this["process-image-age"].dimensions.QueueName == "darkroom-process-image"
    error_message = "expected an alarm on the age of the oldest message"
  }
}

run "function_alarms_use_alias_and_timeout" {
  command = apply

  assert {
    condition     = toset(flatten([for q in aws_cloudwatch_metric_alarm.this["get-image-errors"].metric_query : [for m in q.metric : m.dimensions.Resource]])) == toset(["darkroom-get-image:live"])
    error_message = "expected the errors of the alias, which include a new version's"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["process-image-duration"].threshold == 48000 && aws_cloudwatch_metric_alarm.this["get-image-duration"].threshold == 12000 && aws_cloudwatch_metric_alarm.this["get-image-duration"].extended_statistic == "p99"
    error_message = "expected 80 % of each function's own timeout, in ms"
  }
}

run "metrics_of_functions_have_alarms" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["process-image-init"].threshold == 700 && aws_cloudwatch_metric_alarm.this["process-image-init"].namespace == "Darkroom" && aws_cloudwatch_metric_alarm.this["process-image-init"].dimensions == tomap({ function = "darkroom-process-image" })
    error_message = "expected twice the budget of the initialization, in ms"
  }
  assert {
    condition = { for q in aws_cloudwatch_metric_alarm.this["get-image-cold-starts"].metric_query : q.id => one(q.metric[*].dimensions) if q.id != "percent" } == {
      part  = tomap({ function = "darkroom-get-image" })
      whole = tomap({ FunctionName = "darkroom-get-image" })
    }
    error_message = "expected cold starts as a share of the calls"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["process-image-photo-latency"].threshold == 60000 && aws_cloudwatch_metric_alarm.this["process-image-photo-latency"].extended_statistic == "p99"
    error_message = "expected an alarm on photos that wait long"
  }
  assert {
    condition     = anytrue([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : try(w.properties.metrics[0][0].expression, "") == "SEARCH('{Darkroom,function,outcome,reason} MetricName=\"Photos\"', 'Sum', 60)"])
    error_message = "expected a graph of photos by outcome and reason"
  }
}

run "failed_messages_are_counted_by_lambda_or_by_the_worker" {
  command = apply

  variables {
    queues = {
      process-image = { name = "darkroom-process-image", dead_letter_name = "darkroom-process-image-dead-letters", event_source = { uuid = "0d9d2b0e" } }
      add-avif      = { name = "darkroom-add-avif", dead_letter_name = "darkroom-add-avif-dead-letters" }
    }
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => tomap(merge(alarm.dimensions, { metric = "${alarm.namespace} ${alarm.metric_name}" })) if endswith(key, "-failed-events") } == {
      process-image-failed-events = tomap({ EventSourceMappingUUID = "0d9d2b0e", metric = "AWS/Lambda FailedInvokeEventCount" })
      add-avif-failed-events      = tomap({ function = "add-avif", outcome = "retry", metric = "Darkroom FailedEvents" })
    }
    error_message = "expected the metric of the event source mapping on Lambda, and the function's own from a worker"
  }
}

run "canary_counts_reported_failures_of_the_newest_version" {
  command = apply

  assert {
    condition = alltrue([
      for filter in values(aws_cloudwatch_log_metric_filter.failures) :
      filter.pattern == "{ ($.event = \"message_failed\") || ($.event = \"request_failed\") || (($.level = \"error\") && ($.event != \"dead_letter_sent\")) }" && filter.metric_transformation[0].dimensions == tomap({ version = "$.version" })
    ])
    error_message = "expected failed messages, 5xx and logged errors, which Lambda counts as successes, by version"
  }
  assert {
    condition = { for q in aws_cloudwatch_metric_alarm.this["process-image-canary"].metric_query : q.id => one(q.metric[*].dimensions) if q.id != "percent" } == {
      part  = tomap({ version = "7" })
      whole = tomap({ FunctionName = "darkroom-process-image", Resource = "darkroom-process-image:live", ExecutedVersion = "7" })
    }
    error_message = "expected failures and calls of the newest version, whatever its share of the calls"
  }
}

run "refused_sign_ins_are_counted" {
  command = apply

  variables {
    sign_in_function = "get-image"
  }

  assert {
    condition     = aws_cloudwatch_log_metric_filter.failed_sign_ins["get-image"].pattern == "{ ($.event = \"request_rejected\") && (($.problem = \"wrong-credentials\") || ($.problem = \"too-many-attempts\")) }" && aws_cloudwatch_log_metric_filter.failed_sign_ins["get-image"].log_group_name == "/aws/lambda/darkroom-get-image"
    error_message = "expected a filter on the log of the function that signs in"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["failed-sign-ins"].metric_name == aws_cloudwatch_log_metric_filter.failed_sign_ins["get-image"].metric_transformation[0].name && aws_cloudwatch_metric_alarm.this["failed-sign-ins"].threshold == 100 && length(aws_cloudwatch_metric_alarm.this["failed-sign-ins"].alarm_actions) == 1
    error_message = "expected an alarm that notifies"
  }
}

run "database_instance_alarms" {
  command = apply

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.metric_name if startswith(key, "database-") } == {
      database-0-connections = "DatabaseConnections"
      database-0-cpu         = "CPUUtilization"
      database-0-memory      = "FreeableMemory"
      database-0-storage     = "FreeStorageSpace"
    }
    error_message = "expected the alarms of an instance"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["database-0-storage"].threshold == 4 * 1024 * 1024 * 1024 && aws_cloudwatch_metric_alarm.this["database-0-storage"].comparison_operator == "LessThanThreshold"
    error_message = "expected a threshold in bytes"
  }
}

run "aurora_alarms" {
  command = apply

  variables {
    database = { instance_identifiers = ["darkroom-database-1", "darkroom-database-2"], serverless = true }
  }

  assert {
    condition     = length([for key in keys(aws_cloudwatch_metric_alarm.this) : key if startswith(key, "database-")]) == 8 && aws_cloudwatch_metric_alarm.this["database-1-capacity"].metric_name == "ACUUtilization" && !contains(keys(aws_cloudwatch_metric_alarm.this), "database-0-storage")
    error_message = "expected alarms for each server, with capacity in place of storage"
  }
}

run "alarm_names_list_what_a_release_watches" {
  command = apply

  assert {
    condition = jsonencode(output.alarm_names) == jsonencode({
      process-image = ["darkroom-process-image-age", "darkroom-process-image-canary", "darkroom-process-image-dead-letters", "darkroom-process-image-duration", "darkroom-process-image-errors", "darkroom-process-image-failed-events", "darkroom-process-image-throttles"]
      get-image     = ["darkroom-api-5xx", "darkroom-api-latency", "darkroom-get-image-canary", "darkroom-get-image-duration", "darkroom-get-image-errors", "darkroom-get-image-throttles"]
    })
    error_message = "expected the alarms of each function, and the API's for routes"
  }
}

run "dashboard_covers_all_services" {
  command = apply

  assert {
    condition = toset([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : try(tostring(w.properties.metrics[0][0]), "Darkroom")]) == toset([
      "AWS/ApiGateway", "AWS/Lambda", "AWS/RDS", "AWS/SQS", "AWS/States", "Darkroom",
    ])
    error_message = "expected API, functions, queues, workflow and database"
  }
  assert {
    condition     = length(distinct([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : "${w.x},${w.y}"])) == length(jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets)
    error_message = "expected a position of its own for each graph"
  }
}

run "alarms_disabled_creates_none" {
  command = apply

  variables {
    alarms_enabled = false
  }

  assert {
    condition     = length(aws_sns_topic.alarms) == 0 && length(aws_cloudwatch_log_metric_filter.logged_errors) == 0 && length(aws_cloudwatch_log_metric_filter.failures) == 0 && length(aws_cloudwatch_metric_alarm.this) == 0 && jsonencode(output.alarm_names) == jsonencode({ process-image = [], get-image = [] })
    error_message = "expected no topic, filter or alarm"
  }
}

run "threshold_of_zero_is_refused" {
  command = plan

  variables {
    thresholds = { age_seconds = 0 }
  }

  expect_failures = [var.thresholds]
}

run "omitted_kinds_have_no_alarm" {
  variables {
    omitted_alarms = ["init", "cold-starts", "throttles"]
  }

  assert {
    condition     = length([for name in keys(aws_cloudwatch_metric_alarm.this) : name if length(regexall("-(init|cold-starts|throttles)$", name)) > 0]) == 0 && length([for name in keys(aws_cloudwatch_metric_alarm.this) : name if endswith(name, "-errors")]) > 0
    error_message = "expected the other kinds only"
  }
}

run "unknown_kind_of_alarm_is_refused" {
  command = plan

  variables {
    omitted_alarms = ["errros"]
  }

  expect_failures = [var.omitted_alarms]
}
