# One function as an ECS service on Fargate: the same image as on Lambda, started as a worker that polls
# the queue itself.

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  service_name = "${var.prefix}-${var.definition.name}"
  partition    = data.aws_partition.current.partition
  region       = data.aws_region.current.id
  account      = data.aws_caller_identity.current.account_id

  # Time for running invocations to end. Fargate and Spot allow at most two minutes; messages of longer
  # invocations return to the queue.
  stop_seconds  = min(120, var.definition.manifest.timeout_seconds + 15)
  drain_seconds = coalesce(var.drain_seconds, local.stop_seconds - 5)

  # Memory and CPU of the function on Lambda for each environment, plus the worker. Lambda gives one CPU
  # for 1769 MB: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
  worker_mib = 256
  wanted_mib = var.scaling.concurrency * var.definition.manifest.memory_mib + local.worker_mib
  wanted_cpu = ceil(var.scaling.concurrency * var.definition.manifest.memory_mib * 1024 / 1769)

  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
  sizes = [
    { cpu = 256, mib = [512, 1024, 2048] },
    { cpu = 512, mib = range(1024, 4097, 1024) },
    { cpu = 1024, mib = range(2048, 8193, 1024) },
    { cpu = 2048, mib = range(4096, 16385, 1024) },
    { cpu = 4096, mib = range(8192, 30721, 1024) },
    { cpu = 8192, mib = range(16384, 61441, 4096) },
    { cpu = 16384, mib = range(32768, 122881, 8192) },
  ]
  # Accept 10 % less CPU rather than pay for the next size, which is twice as large.
  fitting = flatten([
    for size in local.sizes : [
      for mib in size.mib : { cpu = size.cpu, mib = mib }
      if size.cpu * 1.1 >= local.wanted_cpu && mib >= local.wanted_mib
    ]
  ])
  size = try(local.fitting[0], { cpu = 0, mib = 0 })

  # Image URIs are repository@digest or registry/repository@digest.
  repository = regex("^(?:[^/]+/)?([^@]+)@", var.definition.image_uri)[0]

  # A writable folder; the container `prepare` sets its mode.
  scratch = { sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }

  logging = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.this.name
      awslogs-region        = local.region
      awslogs-stream-prefix = "worker"
      # Slow logging must not block the function.
      mode            = "non-blocking"
      max-buffer-size = "4m"
    }
  }

  environment = merge(var.definition.environment, {
    WORKER_QUEUE_URL             = var.queue.url
    WORKER_DEAD_LETTER_QUEUE_URL = var.queue.dead_letter_url
    WORKER_CONCURRENCY           = tostring(var.scaling.concurrency)
    WORKER_DRAIN_SECONDS         = tostring(local.drain_seconds)
  })
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/${local.service_name}"
  retention_in_days = var.definition.log_retention_days
  tags              = var.tags
}

# -- permissions

locals {
  # Only tasks of this account may assume the roles.
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account}:*" }
      }
    }]
  })
}

# Another name than the role on Lambda, since both may exist while a function moves.
resource "aws_iam_role" "task" {
  name               = "${local.service_name}-worker"
  description        = "Permissions of the function ${var.definition.name} as a worker."
  assume_role_policy = local.trust
  tags               = var.tags
}

resource "aws_iam_role_policy" "task" {
  name = "function"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for s in var.definition.policy_statements : {
      Sid      = s.sid
      Effect   = "Allow"
      Action   = s.actions
      Resource = s.resources
    }]
  })

  lifecycle {
    precondition {
      condition     = length(var.definition.policy_statements) > 0
      error_message = "${var.definition.name}: policy_statements must at least allow to receive the queue's messages."
    }
  }
}

resource "aws_iam_role" "execution" {
  name               = "${local.service_name}-execution"
  description        = "Permissions of ECS to start the worker ${var.definition.name}."
  assume_role_policy = local.trust
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "PullImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = ["arn:${local.partition}:ecr:${local.region}:${local.account}:repository/${local.repository}"]
      },
      {
        Sid    = "LogIn"
        Effect = "Allow"
        Action = ["ecr:GetAuthorizationToken"]
        # The action has no resource; `PullImage` restricts the repositories.
        Resource = ["*"]
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
      },
    ]
  })
}

# -- the service

resource "aws_ecs_task_definition" "this" {
  family                   = local.service_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = tostring(local.size.cpu)
  memory                   = tostring(local.size.mib)
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(var.definition.architecture)
  }

  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([
    {
      # Volumes of Fargate belong to root, and there is no tmpfs: this container opens the volume for the
      # user of the worker, and exits.
      # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
      name                   = "prepare"
      image                  = var.definition.image_uri
      essential              = false
      user                   = "0:0"
      entryPoint             = ["chmod"]
      command                = ["1777", "/tmp"]
      readonlyRootFilesystem = true
      mountPoints            = [local.scratch]
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      logConfiguration       = local.logging
    },
    {
      name                   = "worker"
      image                  = var.definition.image_uri
      essential              = true
      command                = ["worker"]
      user                   = "10001:10001"
      readonlyRootFilesystem = true
      mountPoints            = [local.scratch]
      dependsOn              = [{ containerName = "prepare", condition = "SUCCESS" }]
      environment            = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
      stopTimeout            = local.stop_seconds
      # An init process reaps what handlers leave behind.
      linuxParameters  = { capabilities = { drop = ["ALL"] }, initProcessEnabled = true }
      logConfiguration = local.logging
      # As HEALTHCHECK in the image, which ECS ignores.
      healthCheck = {
        command     = ["CMD", "/darkroom-entrypoint.sh", "worker", "health"]
        interval    = 15
        timeout     = 10
        retries     = 3
        startPeriod = 30
      }
    },
  ])

  lifecycle {
    precondition {
      condition     = local.size.cpu > 0
      error_message = "${var.definition.name}: Fargate has no task of ${local.wanted_mib} MiB and ${local.wanted_cpu} CPU units; lower the concurrency."
    }
    precondition {
      condition     = local.drain_seconds < local.stop_seconds
      error_message = "${var.definition.name}: drain_seconds must be less than the stop timeout of ${local.stop_seconds} s, got ${local.drain_seconds}."
    }
  }
}

resource "aws_ecs_service" "this" {
  #checkov:skip=CKV_AWS_332:LATEST is the newest platform version; a fixed number would become outdated.
  name                               = local.service_name
  cluster                            = var.cluster_arn
  task_definition                    = aws_ecs_task_definition.this.arn
  desired_count                      = var.scaling.minimum_tasks
  platform_version                   = "LATEST"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  enable_execute_command             = false
  propagate_tags                     = "SERVICE"
  wait_for_steady_state              = var.scaling.wait_for_steady_state
  tags                               = var.tags

  capacity_provider_strategy {
    capacity_provider = var.scaling.spot_enabled ? "FARGATE_SPOT" : "FARGATE"
    weight            = 1
    base              = 0
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = var.security_group_ids
    assign_public_ip = var.assign_public_ip
  }

  # ECS rolls back an image whose tasks do not become healthy; the old tasks keep running meanwhile.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    # Auto scaling changes the first; the default of the second differs between AWS and emulators.
    ignore_changes = [desired_count, availability_zone_rebalancing]
  }

  depends_on = [aws_iam_role_policy.task, aws_iam_role_policy.execution]
}
