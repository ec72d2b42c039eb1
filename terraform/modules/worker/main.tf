# One function as an ECS service on Fargate: the same image, which takes its messages from the queue by
# itself instead of from Lambda.

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  service_name = "${var.prefix}-${var.name}"
  partition    = data.aws_partition.current.partition
  region       = data.aws_region.current.name
  account      = data.aws_caller_identity.current.account_id

  # Room for the running invocations to end; Fargate gives two minutes, Spot as well. What takes longer
  # is cut, and its message comes back.
  stop_seconds  = min(120, var.manifest.timeout_seconds + 15)
  drain_seconds = coalesce(var.drain_seconds, local.stop_seconds - 5)

  # What the function has on Lambda, for each environment, and the worker beside them. Lambda gives a
  # CPU for 1769 MB: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
  worker_mib = 256
  wanted_mib = var.concurrency * var.manifest.memory_mib + local.worker_mib
  wanted_cpu = ceil(var.concurrency * var.manifest.memory_mib * 1024 / 1769)

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
  # A tenth less of CPU is no reason to pay for twice as much of it.
  fitting = flatten([
    for size in local.sizes : [
      for mib in size.mib : { cpu = size.cpu, mib = mib }
      if size.cpu * 1.1 >= local.wanted_cpu && mib >= local.wanted_mib
    ]
  ])
  size = try(local.fitting[0], { cpu = 0, mib = 0 })

  # repository@digest, at ECR: registry/repository@digest.
  repository = regex("^(?:[^/]+/)?([^@]+)@", var.image_uri)[0]

  # For a folder that a user of its own can write to; see the container `prepare`.
  scratch = { sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }

  logging = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.this.name
      awslogs-region        = local.region
      awslogs-stream-prefix = "worker"
      # A slow log does not hold up the work.
      mode            = "non-blocking"
      max-buffer-size = "4m"
    }
  }

  environment = merge(var.environment, {
    WORKER_QUEUE_URL             = var.queue.url
    WORKER_DEAD_LETTER_QUEUE_URL = var.queue.dead_letter_url
    WORKER_CONCURRENCY           = tostring(var.concurrency)
    WORKER_DRAIN_SECONDS         = tostring(local.drain_seconds)
  })
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/${local.service_name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

# -- rights

locals {
  # Only tasks of this account.
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

# Not the name of the function's role on Lambda: where a function changes its place, one may be made
# before the other is gone.
resource "aws_iam_role" "task" {
  name               = "${local.service_name}-worker"
  description        = "What the function ${var.name} may do, as a worker."
  assume_role_policy = local.trust
  tags               = var.tags
}

resource "aws_iam_role_policy" "task" {
  name = "function"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for s in var.policy_statements : {
      Sid      = s.sid
      Effect   = "Allow"
      Action   = s.actions
      Resource = s.resources
    }]
  })
}

resource "aws_iam_role" "execution" {
  name               = "${local.service_name}-execution"
  description        = "What ECS may do to start the worker ${var.name}."
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
        # A login is for the whole registry; what may be pulled is said above.
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
    cpu_architecture        = upper(var.architecture)
  }

  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([
    {
      # Fargate's folders are root's, and it has no tmpfs: this one is opened for the worker's user, and
      # then root is gone.
      # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
      name                   = "prepare"
      image                  = var.image_uri
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
      image                  = var.image_uri
      essential              = true
      command                = ["worker"]
      user                   = "10001:10001"
      readonlyRootFilesystem = true
      mountPoints            = [local.scratch]
      dependsOn              = [{ containerName = "prepare", condition = "SUCCESS" }]
      environment            = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
      stopTimeout            = local.stop_seconds
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      logConfiguration       = local.logging
      # The image's own HEALTHCHECK, which ECS does not read.
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
      error_message = "${var.name}: Fargate has no task of ${local.wanted_mib} MiB and ${local.wanted_cpu} CPU units; lower the concurrency."
    }
    precondition {
      condition     = local.drain_seconds < local.stop_seconds
      error_message = "${var.name}: drain_seconds must be less than the ${local.stop_seconds} s after which ECS kills, got ${local.drain_seconds}."
    }
  }
}

resource "aws_ecs_service" "this" {
  #checkov:skip=CKV_AWS_332:LATEST is the newest platform; to name its number would be to stay behind.
  name                               = local.service_name
  cluster                            = var.cluster_arn
  task_definition                    = aws_ecs_task_definition.this.arn
  desired_count                      = var.minimum_tasks
  platform_version                   = "LATEST"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  enable_execute_command             = false
  propagate_tags                     = "SERVICE"
  wait_for_steady_state              = var.wait_for_steady_state
  tags                               = var.tags

  capacity_provider_strategy {
    capacity_provider = var.spot_enabled ? "FARGATE_SPOT" : "FARGATE"
    weight            = 1
    base              = 0
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = var.security_group_ids
    assign_public_ip = var.assign_public_ip
  }

  # An image that does not come up is taken back by ECS itself; the old tasks work on meanwhile.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    # Scaling changes the first; the second is a default that differs between AWS and emulators.
    ignore_changes = [desired_count, availability_zone_rebalancing]
  }

  depends_on = [aws_iam_role_policy.task, aws_iam_role_policy.execution]
}
