mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
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
    process-image = { name = "darkroom-process-image", timeout_seconds = 60 }
    get-image     = { name = "darkroom-get-image", timeout_seconds = 15 }
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
  workflow_arns  = { order = "arn:aws:states:eu-central-1:123456789012:stateMachine:darkroom-order-workflow" }
  database       = { instance_identifiers = ["darkroom-database"], serverless = false }
  operator_email = "operator@darkroom.example"
}

run "the_operator_is_told" {
  command = apply

  assert {
    condition     = aws_sns_topic_subscription.operator[0].endpoint == "operator@darkroom.example" && aws_sns_topic_subscription.operator[0].protocol == "email"
    error_message = "expected an e-mail"
  }
  assert {
    condition     = jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement[0].Condition.ArnLike["aws:SourceArn"] == "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:darkroom-*" && length([for s in jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement : s if s.Effect == "Allow"]) == 1
    error_message = "expected only this lab's alarms to publish"
  }
  assert {
    condition = alltrue([
      for alarm in concat(
        values(aws_cloudwatch_metric_alarm.errors), values(aws_cloudwatch_metric_alarm.throttles), values(aws_cloudwatch_metric_alarm.duration),
        values(aws_cloudwatch_metric_alarm.dead_letters), values(aws_cloudwatch_metric_alarm.age), values(aws_cloudwatch_metric_alarm.database),
        values(aws_cloudwatch_metric_alarm.api_errors), values(aws_cloudwatch_metric_alarm.api_latency), aws_cloudwatch_metric_alarm.logged_errors,
      ) : alarm.alarm_actions == toset(["arn:aws:sns:eu-central-1:123456789012:darkroom-alarms"]) && alarm.ok_actions == alarm.alarm_actions
    ])
    error_message = "expected every alarm to tell, and to tell when it is over"
  }
}

run "a_logged_error_is_told_wherever_the_function_runs" {
  command = apply

  assert {
    condition     = jsonencode({ for name, filter in aws_cloudwatch_log_metric_filter.logged_errors : name => filter.log_group_name }) == jsonencode({ process-image = "/ecs/darkroom-process-image", get-image = "/aws/lambda/darkroom-get-image" })
    error_message = "expected every function's log to be watched"
  }
  assert {
    condition = alltrue([
      for filter in values(aws_cloudwatch_log_metric_filter.logged_errors) : (
        filter.pattern == "{ $.level = \"error\" && $.event != \"dead-letter\" }"
        && filter.metric_transformation[0].namespace == aws_cloudwatch_metric_alarm.logged_errors[0].namespace
        && filter.metric_transformation[0].name == aws_cloudwatch_metric_alarm.logged_errors[0].metric_name
      )
    ])
    error_message = "expected errors, and not those that the dead letters' alarm tells of, to be what the alarm counts"
  }
}

run "one_dead_letter_is_one_too_many" {
  command = apply

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.dead_letters["process-image"].dimensions.QueueName == "darkroom-process-image-dead-letters"
      && aws_cloudwatch_metric_alarm.dead_letters["process-image"].metric_name == "ApproximateNumberOfMessagesVisible"
      && aws_cloudwatch_metric_alarm.dead_letters["process-image"].comparison_operator == "GreaterThanThreshold"
      && aws_cloudwatch_metric_alarm.dead_letters["process-image"].threshold == 0
    )
    error_message = "expected an alarm at the first dead letter"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.age["process-image"].metric_name == "ApproximateAgeOfOldestMessage" && aws_cloudwatch_metric_alarm.age["process-image"].dimensions.QueueName == "darkroom-process-image"
    error_message = "expected an alarm for what waits too long"
  }
}

run "functions_by_their_alias_and_timeout" {
  command = apply

  assert {
    condition     = toset(flatten([for q in aws_cloudwatch_metric_alarm.errors["get-image"].metric_query : [for m in q.metric : m.dimensions.Resource]])) == toset(["darkroom-get-image:live"])
    error_message = "expected the alias's errors, which a new version's are among"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.duration["process-image"].threshold == 48000 && aws_cloudwatch_metric_alarm.duration["get-image"].threshold == 12000 && aws_cloudwatch_metric_alarm.duration["get-image"].extended_statistic == "p99"
    error_message = "expected 80 % of each function's own timeout, in ms"
  }
}

run "the_database" {
  command = apply

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.database : key => alarm.metric_name } == {
      "0-connections" = "DatabaseConnections"
      "0-cpu"         = "CPUUtilization"
      "0-memory"      = "FreeableMemory"
      "0-storage"     = "FreeStorageSpace"
    }
    error_message = "expected an instance's alarms"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.database["0-storage"].threshold == 4 * 1024 * 1024 * 1024 && aws_cloudwatch_metric_alarm.database["0-storage"].comparison_operator == "LessThanThreshold"
    error_message = "expected bytes"
  }
}

run "aurora" {
  command = apply

  variables {
    database = { instance_identifiers = ["darkroom-database-1", "darkroom-database-2"], serverless = true }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.database) == 8 && aws_cloudwatch_metric_alarm.database["1-capacity"].metric_name == "ACUUtilization" && !contains(keys(aws_cloudwatch_metric_alarm.database), "0-storage")
    error_message = "expected each server's alarms, capacity in place of storage"
  }
}

run "a_deployment_knows_what_to_watch" {
  command = apply

  assert {
    condition = jsonencode(output.alarm_names) == jsonencode({
      process-image = ["darkroom-process-image-age", "darkroom-process-image-dead-letters", "darkroom-process-image-duration", "darkroom-process-image-errors", "darkroom-process-image-throttles"]
      get-image     = ["darkroom-api-5xx", "darkroom-api-latency", "darkroom-get-image-duration", "darkroom-get-image-errors", "darkroom-get-image-throttles"]
    })
    error_message = "expected each function's own alarms, and the API's for those behind it"
  }
}

run "the_dashboard_shows_all_of_it" {
  command = apply

  assert {
    condition = toset([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : w.properties.metrics[0][0]]) == toset([
      "AWS/ApiGateway", "AWS/Lambda", "AWS/RDS", "AWS/SQS", "AWS/States",
    ])
    error_message = "expected API, functions, queues, workflow and database"
  }
  assert {
    condition     = length(distinct([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : "${w.x},${w.y}"])) == length(jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets)
    error_message = "expected no two graphs in one place"
  }
}

run "without_alarms" {
  command = apply

  variables {
    alarms_enabled = false
  }

  assert {
    condition     = length(aws_sns_topic.alarms) == 0 && length(aws_cloudwatch_log_metric_filter.logged_errors) == 0 && length(aws_cloudwatch_metric_alarm.logged_errors) == 0 && length(aws_cloudwatch_metric_alarm.errors) == 0 && length(aws_cloudwatch_metric_alarm.database) == 0 && jsonencode(output.alarm_names) == jsonencode({ process-image = [], get-image = [] })
    error_message = "expected nothing that watches"
  }
}

run "a_threshold_of_nothing" {
  command = plan

  variables {
    thresholds = { age_seconds = 0 }
  }

  expect_failures = [var.thresholds]
}
