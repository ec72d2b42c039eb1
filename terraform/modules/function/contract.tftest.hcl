mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/darkroom-process-image" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:darkroom-process-image", version = "7" }
  }
  mock_resource "aws_lambda_alias" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:darkroom-process-image:live" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/darkroom-process-image" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-central-1:123456789012:rule/darkroom-process-image-warmer" }
  }
}

variables {
  definition = {
    name      = "process-image"
    image_uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/darkroom/process-image@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    manifest = {
      description     = "Develops a photo."
      memory_mib      = 1769
      timeout_seconds = 60
      trigger = {
        queue = { batch_size = 1, batch_window_seconds = 0, maximum_concurrency = 20, max_receive_count = 5 }
      }
    }
    policy_statements = [
      { sid = "BucketOriginalsObjects", actions = ["s3:GetObject"], resources = ["arn:aws:s3:::darkroom-originals/*"] },
    ]
  }
  queue = { arn = "arn:aws:sqs:eu-central-1:123456789012:darkroom-process-image" }
}

run "function_follows_its_manifest" {
  assert {
    condition     = aws_lambda_function.this.function_name == "darkroom-process-image" && aws_lambda_function.this.memory_size == 1769 && aws_lambda_function.this.timeout == 60
    error_message = "expected name, memory and timeout of the manifest"
  }
  assert {
    condition     = aws_lambda_function.this.publish && aws_lambda_alias.live.function_version == "7" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "expected the alias at the newest version"
  }
  assert {
    condition     = aws_lambda_invocation.warm_up[0].qualifier == "7" && jsondecode(aws_lambda_invocation.warm_up[0].input) == { warmer = true }
    error_message = "expected the newest version to be called before the alias moves"
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "expected a retention of the log"
  }
  assert {
    condition     = aws_lambda_function.this.tracing_config[0].mode == "Active"
    error_message = "expected traces"
  }
}

run "queue_calls_the_alias_with_partial_failures" {
  assert {
    condition     = aws_lambda_event_source_mapping.queue[0].function_response_types == toset(["ReportBatchItemFailures"]) && aws_lambda_event_source_mapping.queue[0].scaling_config[0].maximum_concurrency == 20
    error_message = "expected partial failures and the maximum concurrency"
  }
  assert {
    condition     = endswith(aws_lambda_event_source_mapping.queue[0].function_name, ":live")
    error_message = "expected the alias to be called"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.queue[0].metrics_config[0].metrics == toset(["EventCount"])
    error_message = "expected metrics of failed messages"
  }
}

run "maximum_concurrency_replaces_the_manifests" {
  variables {
    maximum_concurrency = 2
  }

  assert {
    condition     = aws_lambda_event_source_mapping.queue[0].scaling_config[0].maximum_concurrency == 2
    error_message = "expected the variable's concurrency"
  }
}

run "metrics_of_the_queue_can_be_left_out" {
  variables {
    event_source_metrics_enabled = false
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.queue[0].metrics_config) == 0
    error_message = "expected no metrics"
  }
}

run "policy_contains_the_grants_only" {
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid] == ["BucketOriginalsObjects", "Log"]
    error_message = "expected the grants and the log, and nothing else"
  }
  assert {
    condition     = length([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s if contains(s.Resource, "*")]) == 0
    error_message = "expected every resource to be named"
  }
  assert {
    condition     = length(aws_iam_role_policy.network) == 0
    error_message = "expected no permissions for network interfaces outside of a VPC"
  }
}

run "canary_gets_its_share" {
  variables {
    live_version  = "6"
    canary_weight = 0.1
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "6" && aws_lambda_alias.live.routing_config[0].additional_version_weights == tomap({ "7" = 0.1 })
    error_message = "expected the alias to stay, with a tenth for the newest version"
  }
}

run "provisioned_concurrency_disables_weights" {
  variables {
    live_version            = "6"
    canary_weight           = 0.1
    provisioned_concurrency = { minimum = 1 }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "6" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "expected no weights beside provisioned concurrency, which Lambda refuses"
  }
  assert {
    condition     = length(aws_lambda_invocation.warm_up) == 1
    error_message = "expected the newest version to be called once before it goes live"
  }
}

run "held_newest_version_has_no_canary" {
  variables {
    live_version  = "7"
    canary_weight = 0.1
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "7" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "expected no weights"
  }
}

run "held_version_without_canary_weight_has_no_canary" {
  variables {
    live_version = "6"
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "6" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "expected the alias to stay, alone"
  }
}

run "route_reserves_its_concurrency" {
  variables {
    queue = null
    definition = merge(var.definition, {
      manifest = {
        description = "A route.", memory_mib = 512, timeout_seconds = 20
        trigger     = { http = { route = "GET /images", authorization = "session", maximum_concurrency = 20 } }
      }
    })
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 20 && length(aws_lambda_event_source_mapping.queue) == 0
    error_message = "expected the route's concurrency, and no queue"
  }
}

run "code_in_a_vpc_may_not_use_network_permissions" {
  variables {
    vpc = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.network[0].policy).Statement[1].Effect == "Deny" && jsondecode(aws_iam_role_policy.network[0].policy).Statement[1].Condition.ArnEquals["lambda:SourceFunctionArn"] == ["arn:aws:lambda:eu-central-1:123456789012:function:darkroom-process-image"]
    error_message = "expected a denial for the function's own code"
  }
}

run "provisioned_concurrency_with_a_fixed_number" {
  variables {
    provisioned_concurrency = { minimum = 2 }
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.live[0].provisioned_concurrent_executions == 2 && length(aws_appautoscaling_target.live) == 0
    error_message = "expected two, without scaling"
  }
}

run "provisioned_concurrency_scales_by_use_and_schedule" {
  variables {
    provisioned_concurrency = {
      minimum   = 1
      maximum   = 5
      schedules = { evening = { schedule = "cron(0 18 * * ? *)", timezone = "Europe/Berlin", minimum = 3, maximum = 10 } }
    }
  }

  assert {
    condition     = length(aws_lambda_provisioned_concurrency_config.live) == 0 && aws_appautoscaling_target.scheduled[0].max_capacity == 5 && length(aws_appautoscaling_target.live) == 0 && aws_appautoscaling_scheduled_action.live["evening"].scalable_target_action[0].min_capacity == "3"
    error_message = "expected scaling instead of a fixed number"
  }
}

run "provisioned_concurrency_before_a_change" {
  variables {
    provisioned_concurrency = { minimum = 1, maximum = 10 }
  }

  assert {
    condition     = aws_appautoscaling_target.live[0].min_capacity == 1 && aws_appautoscaling_target.live[0].max_capacity == 10
    error_message = "expected 1 to 10"
  }
}

run "provisioned_concurrency_after_a_change" {
  variables {
    provisioned_concurrency = { minimum = 5, maximum = 40 }
  }

  assert {
    condition     = aws_appautoscaling_target.live[0].min_capacity == 5 && aws_appautoscaling_target.live[0].max_capacity == 40
    error_message = "expected a later apply to change the limits"
  }
}

run "scheduled_concurrency_before_a_change" {
  variables {
    provisioned_concurrency = {
      minimum   = 1
      maximum   = 10
      schedules = { evening = { schedule = "cron(0 18 * * ? *)", minimum = 3, maximum = 10 } }
    }
  }

  assert {
    condition     = aws_appautoscaling_target.scheduled[0].min_capacity == 1 && aws_appautoscaling_target.scheduled[0].max_capacity == 10
    error_message = "expected 1 to 10"
  }
}

run "scheduled_concurrency_after_a_change" {
  variables {
    provisioned_concurrency = {
      minimum   = 5
      maximum   = 40
      schedules = { evening = { schedule = "cron(0 18 * * ? *)", minimum = 3, maximum = 10 } }
    }
  }

  assert {
    condition     = aws_appautoscaling_target.scheduled[0].min_capacity == 5 && aws_appautoscaling_target.scheduled[0].max_capacity == 40
    error_message = "expected a later apply to change the limits, with schedules too"
  }
}

run "warmer_calls_the_alias" {
  variables {
    warmer_schedule = "rate(5 minutes)"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_target.warmer[0].input) == { warmer = true } && aws_lambda_permission.warmer[0].qualifier == "live"
    error_message = "expected calls of the alias with the warm-up event"
  }
}

run "failed_events_go_to_the_dead_letter_queue" {
  variables {
    dead_letter = { arn = "arn:aws:sqs:eu-central-1:123456789012:darkroom-failed-events" }
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.live[0].destination_config[0].on_failure[0].destination == "arn:aws:sqs:eu-central-1:123456789012:darkroom-failed-events"
    error_message = "expected a destination of failed events"
  }
  assert {
    condition     = contains([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid], "SendFailedEvents")
    error_message = "expected the permission to send them"
  }
}

run "image_by_tag_is_refused" {
  command = plan

  variables {
    definition = merge(var.definition, {
      image_uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/darkroom/process-image:latest"
    })
  }

  expect_failures = [var.definition]
}

run "large_batch_without_window_is_refused" {
  command = plan

  variables {
    definition = merge(var.definition, {
      manifest = {
        description = "x", memory_mib = 512, timeout_seconds = 30
        trigger     = { queue = { batch_size = 100, batch_window_seconds = 0, maximum_concurrency = 5, max_receive_count = 5 } }
      }
    })
  }

  expect_failures = [aws_lambda_event_source_mapping.queue]
}
