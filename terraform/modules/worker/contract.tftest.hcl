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
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/darkroom-process-image" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/darkroom-process-image" }
  }
  mock_resource "aws_appautoscaling_policy" {
    defaults = { arn = "arn:aws:autoscaling:eu-central-1:123456789012:scalingPolicy:1" }
  }
}

variables {
  definition = {
    name        = "process-image"
    image_uri   = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/darkroom/process-image@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    manifest    = { memory_mib = 1769, timeout_seconds = 60 }
    environment = { IMAGES_TABLE = "darkroom-images" }
    policy_statements = [
      { sid = "ReceiveMessages", actions = ["sqs:ReceiveMessage"], resources = ["arn:aws:sqs:eu-central-1:123456789012:darkroom-process-image"] },
    ]
  }
  cluster_arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/darkroom"
  queue = {
    name            = "darkroom-process-image"
    url             = "https://sqs.eu-central-1.amazonaws.com/123456789012/darkroom-process-image"
    dead_letter_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/darkroom-process-image-dead-letters"
  }
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
}

run "image_runs_as_worker_of_its_queue" {
  command = apply

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].command == ["worker"] && jsondecode(aws_ecs_task_definition.this.container_definitions)[1].image == var.definition.image_uri
    error_message = "expected the function's own image, as a worker"
  }
  assert {
    condition = { for v in jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment : v.name => v.value } == {
      IMAGES_TABLE                 = "darkroom-images"
      WORKER_QUEUE_URL             = var.queue.url
      WORKER_DEAD_LETTER_QUEUE_URL = var.queue.dead_letter_url
      WORKER_CONCURRENCY           = "1"
      WORKER_DRAIN_SECONDS         = "70"
    }
    error_message = "expected the function's environment and the worker's"
  }
}

run "task_has_the_size_of_the_function" {
  command = apply

  assert {
    condition     = aws_ecs_task_definition.this.cpu == "1024" && aws_ecs_task_definition.this.memory == "2048"
    error_message = "expected one CPU, and memory for the function and the worker"
  }
}

run "task_with_four_environments" {
  command = apply

  variables {
    scaling    = { concurrency = 4 }
    definition = merge(var.definition, { architecture = "arm64" })
  }

  assert {
    condition     = aws_ecs_task_definition.this.cpu == "4096" && aws_ecs_task_definition.this.memory == "8192" && aws_ecs_task_definition.this.runtime_platform[0].cpu_architecture == "ARM64"
    error_message = "expected four CPUs of the image's processor"
  }
}

run "small_function_gets_the_smallest_task" {
  command = apply

  variables {
    definition = merge(var.definition, { manifest = { memory_mib = 256, timeout_seconds = 30 } })
  }

  assert {
    condition     = aws_ecs_task_definition.this.cpu == "256" && aws_ecs_task_definition.this.memory == "512"
    error_message = "expected the smallest task"
  }
}

run "too_large_task_is_refused" {
  command = plan

  variables {
    scaling = { concurrency = 256 }
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "stop_timeout_covers_the_function_timeout" {
  command = apply

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].stopTimeout == 75
    error_message = "expected the function's timeout and a reserve"
  }
}

run "stop_timeout_is_limited_to_two_minutes" {
  command = apply

  variables {
    definition = merge(var.definition, { manifest = { memory_mib = 2048, timeout_seconds = 180 } })
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].stopTimeout == 120 && contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment, { name = "WORKER_DRAIN_SECONDS", value = "115" })
    error_message = "expected Fargate's limit, and a shorter drain"
  }
}

run "drain_longer_than_stop_timeout_is_refused" {
  command = plan

  variables {
    drain_seconds = 75
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "roles_contain_the_grants_only" {
  command = apply

  assert {
    condition     = jsondecode(aws_iam_role_policy.task.policy).Statement == [{ Sid = "ReceiveMessages", Effect = "Allow", Action = ["sqs:ReceiveMessage"], Resource = ["arn:aws:sqs:eu-central-1:123456789012:darkroom-process-image"] }]
    error_message = "expected the function's grants and nothing else"
  }
  assert {
    condition     = one([for s in jsondecode(aws_iam_role_policy.execution.policy).Statement : s.Resource if s.Sid == "PullImage"]) == ["arn:aws:ecr:eu-central-1:123456789012:repository/darkroom/process-image"]
    error_message = "expected ECS to pull this function's image only"
  }
  assert {
    condition     = aws_iam_role.task.name == "darkroom-process-image-worker" && jsondecode(aws_iam_role.task.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "expected another name than on Lambda, for tasks of this account"
  }
}

run "worker_runs_unprivileged_and_writes_to_tmp_only" {
  command = apply

  assert {
    condition = alltrue([
      for c in jsondecode(aws_ecs_task_definition.this.container_definitions) : c.readonlyRootFilesystem && one(c.mountPoints).containerPath == "/tmp"
    ])
    error_message = "expected a read-only root, and /tmp"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].user == "10001:10001" && alltrue([for c in jsondecode(aws_ecs_task_definition.this.container_definitions) : c.linuxParameters.capabilities.drop == ["ALL"]])
    error_message = "expected an unprivileged user"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].linuxParameters.initProcessEnabled
    error_message = "expected an init process that reaps orphans"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].dependsOn == [{ containerName = "prepare", condition = "SUCCESS" }]
    error_message = "expected `prepare` to run first"
  }
}

run "unhealthy_image_is_rolled_back" {
  command = apply

  assert {
    condition     = aws_ecs_service.this.deployment_circuit_breaker[0].enable && aws_ecs_service.this.deployment_circuit_breaker[0].rollback && jsondecode(aws_ecs_task_definition.this.container_definitions)[1].healthCheck.command == ["CMD", "/darkroom-entrypoint.sh", "worker", "health"]
    error_message = "expected the circuit breaker and the worker's health check"
  }
  assert {
    condition     = aws_ecs_service.this.wait_for_steady_state
    error_message = "expected the apply to wait until the new tasks run, and to fail when ECS rolls them back"
  }
}

run "tasks_scale_by_backlog_from_and_to_zero" {
  command = apply

  variables {
    scaling = { maximum_tasks = 4, backlog_per_task = 50 }
  }

  assert {
    condition     = aws_appautoscaling_target.this[0].min_capacity == 0 && aws_appautoscaling_target.this[0].max_capacity == 4 && aws_appautoscaling_target.this[0].resource_id == "service/darkroom/darkroom-process-image"
    error_message = "expected zero to four tasks"
  }
  assert {
    # 50 messages: 49 above the threshold of one, a task; 51: 50 above, two tasks.
    condition = [
      for b in [1, 50, 51, 150, 151, 10000] : one([
        for s in aws_appautoscaling_policy.backlog[0].step_scaling_policy_configuration[0].step_adjustment : s.scaling_adjustment
        if b - 1 >= tonumber(s.metric_interval_lower_bound) && b - 1 < try(tonumber(coalesce(s.metric_interval_upper_bound)), 1000000000)
      ])
    ] == [1, 1, 2, 3, 4, 4]
    error_message = "expected a task for each 50 messages, four at most"
  }
  assert {
    condition     = one(aws_appautoscaling_policy.idle[0].step_scaling_policy_configuration[0].step_adjustment).scaling_adjustment == 0 && aws_cloudwatch_metric_alarm.scaling["idle"].evaluation_periods == 10
    error_message = "expected 0 tasks after ten idle minutes"
  }
  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.scaling : name => [for q in alarm.metric_query : q.expression if q.id == "backlog"][0] } == {
      backlog = "waiting"
      idle    = "FILL(waiting, 0) + FILL(in_flight, 0)"
    }
    error_message = "expected to scale out without the metric that may be missing at zero, and in only when nothing is in flight"
  }
}

run "scaling_has_at_most_twenty_steps" {
  command = apply

  variables {
    scaling = { minimum_tasks = 2, maximum_tasks = 100 }
  }

  assert {
    condition     = length(aws_appautoscaling_policy.backlog[0].step_scaling_policy_configuration[0].step_adjustment) == 20 && max([for s in aws_appautoscaling_policy.backlog[0].step_scaling_policy_configuration[0].step_adjustment : s.scaling_adjustment]...) == 100 && aws_appautoscaling_target.this[0].min_capacity == 2
    error_message = "expected 20 steps up to the maximum"
  }
}

run "spot_uses_its_capacity_provider" {
  command = apply

  variables {
    scaling = { spot_enabled = true }
  }

  assert {
    condition     = one(aws_ecs_service.this.capacity_provider_strategy).capacity_provider == "FARGATE_SPOT"
    error_message = "expected Spot"
  }
}

run "disabled_scaling_creates_a_service_only" {
  command = apply

  variables {
    autoscaling_enabled = false
    scaling             = { wait_for_steady_state = false }
  }

  assert {
    condition     = length(aws_appautoscaling_target.this) == 0 && length(aws_cloudwatch_metric_alarm.scaling) == 0 && aws_ecs_service.this.desired_count == 0
    error_message = "expected a service without scaling"
  }
  assert {
    condition     = !aws_ecs_service.this.wait_for_steady_state
    error_message = "expected the apply not to wait where that is set"
  }
}

run "function_without_permissions_is_refused" {
  command = plan

  variables {
    definition = merge(var.definition, { policy_statements = [] })
  }

  expect_failures = [aws_iam_role_policy.task]
}
