# One function: its image as a Lambda function with the alias `live`.

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  function_name = "${var.prefix}-${var.definition.name}"
  partition     = data.aws_partition.current.partition
  # Built from its name, since the role is created before the function.
  function_arn = "arn:${local.partition}:lambda:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:function:${local.function_name}"

  trigger = { for kind, of in try(var.definition.manifest.trigger, {}) : kind => of }
  queue   = try(local.trigger.queue, null)
  # For routes and the authorizer; queues limit concurrency in their event source mapping.
  reserved = var.reserved_concurrency_enabled ? try(local.trigger.http.maximum_concurrency, local.trigger.authorizer.maximum_concurrency, null) : null

  # Every function answers this event immediately (services/platform/functions/sqs.py).
  warm_up = jsonencode({ warmer = true })
  # A release in progress: the alias stays, and the newest version gets a share of the calls.
  canary = var.live_version != null && var.canary_weight > 0
  # Lambda refuses weights on an alias with provisioned concurrency ("Alias with weights can not be used
  # with Provisioned Concurrency"): there only the warm-up tests the new version.
  split = local.canary && !local.provisioned
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.definition.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  name        = local.function_name
  description = "Permissions of the function ${var.definition.name}."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for s in var.definition.policy_statements : {
        Sid      = s.sid
        Effect   = "Allow"
        Action   = s.actions
        Resource = s.resources
      }],
      [{
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
      }],
      var.dead_letter == null ? [] : [{
        Sid      = "SendFailedEvents"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [var.dead_letter.arn]
      }],
    )
  })
}

resource "aws_iam_role_policy" "tracing" {
  count = var.tracing_enabled ? 1 : 0

  name = "tracing"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "Trace"
      Effect = "Allow"
      Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      # These actions of X-Ray have no resource:
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
      Resource = ["*"]
    }]
  })
}

resource "aws_iam_role_policy" "network" {
  #checkov:skip=CKV_AWS_290:Lambda requires all resources; the second statement denies the permission to the code.
  count = var.vpc == null ? 0 : 1

  name = "network"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "LambdaCreatesInterfaces"
        Effect = "Allow"
        Action = [
          "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
          "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
        ]
        # Lambda requires these permissions on all resources when the function is created:
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
        Resource = ["*"]
      },
      {
        # Only the Lambda service may use the permission, not the code of the function.
        Sid       = "DenyFunctionCode"
        Effect    = "Deny"
        Action    = ["ec2:*"]
        Resource  = ["*"]
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = [local.function_arn] } }
      },
    ]
  })
}

resource "aws_lambda_function" "this" {
  function_name                  = local.function_name
  description                    = var.definition.manifest.description
  role                           = aws_iam_role.this.arn
  package_type                   = "Image"
  image_uri                      = var.definition.image_uri
  architectures                  = [var.definition.architecture]
  memory_size                    = var.definition.manifest.memory_mib
  timeout                        = var.definition.manifest.timeout_seconds
  reserved_concurrent_executions = local.reserved
  publish                        = true
  tags                           = var.tags

  dynamic "environment" {
    for_each = length(var.definition.environment) == 0 ? [] : [var.definition.environment]

    content {
      variables = environment.value
    }
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  dynamic "tracing_config" {
    for_each = var.tracing_enabled ? ["Active"] : []

    content {
      mode = tracing_config.value
    }
  }

  # The log group must exist before the first call, or Lambda creates one without retention.
  depends_on = [
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy.this,
    aws_iam_role_policy.tracing,
    aws_iam_role_policy.network,
  ]
}

# The apply fails here when the new version cannot be initialised or does not answer. `live` stays at the
# previous version, so the new one gets no traffic.
resource "aws_lambda_invocation" "warm_up" {
  # Only for a version that will get calls: a rollback must not start the version that fails.
  count = var.warm_up_enabled && (var.live_version == null || local.canary) ? 1 : 0

  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_function.this.version
  input         = local.warm_up
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "The version that the API, the queue and the schedules call."
  function_name    = aws_lambda_function.this.function_name
  function_version = coalesce(var.live_version, aws_lambda_function.this.version)

  dynamic "routing_config" {
    for_each = !local.split ? [] : var.live_version == aws_lambda_function.this.version ? [] : [var.canary_weight]

    content {
      additional_version_weights = { (aws_lambda_function.this.version) = routing_config.value }
    }
  }

  depends_on = [aws_lambda_invocation.warm_up]
}

# Asynchronous calls of the warmer are not retried, since the next one follows soon.
resource "aws_lambda_function_event_invoke_config" "live" {
  count = var.warmer_schedule != null || var.dead_letter != null ? 1 : 0

  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_retry_attempts       = var.dead_letter == null ? 0 : 2
  maximum_event_age_in_seconds = 3600

  dynamic "destination_config" {
    for_each = var.dead_letter == null ? [] : [var.dead_letter]

    content {
      on_failure {
        destination = destination_config.value.arn
      }
    }
  }
}
