# One function: its image as a Lambda function, behind the alias `live`.

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  function_name = "${var.prefix}-${var.name}"
  partition     = data.aws_partition.current.partition
  # Put together, since the role is made before the function.
  function_arn = "arn:${local.partition}:lambda:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:function:${local.function_name}"

  trigger = { for kind, of in try(var.manifest.trigger, {}) : kind => of }
  queue   = try(local.trigger.queue, null)
  # Of a route or of the authorizer; a queue's is its mapping's.
  reserved = var.reserved_concurrency_enabled ? try(local.trigger.http.maximum_concurrency, local.trigger.authorizer.maximum_concurrency, null) : null

  # Every function answers it at once and does nothing else (services/platform/functions/sqs.py).
  warm_up = jsonencode({ warmer = true })
  # The alias stays where it is, and the newest version is tried.
  canary = var.live_version != null && var.canary_weight > 0
  # Lambda refuses weights on an alias with provisioned concurrency ("Alias with weights can not be used
  # with Provisioned Concurrency"): there the warm-up is all that tries it.
  split = local.canary && var.provisioned_concurrency == null
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  name        = local.function_name
  description = "What the function ${var.name} may do."
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
      [for s in var.policy_statements : {
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
        Sid      = "KeepFailedEvents"
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
      # X-Ray's writes have no resource to name:
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
      Resource = ["*"]
    }]
  })
}

resource "aws_iam_role_policy" "network" {
  #checkov:skip=CKV_AWS_290:Lambda takes no narrower right; the second statement keeps it from the function itself.
  count = var.vpc == null ? 0 : 1

  name = "network"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "LambdaMakesInterfaces"
        Effect = "Allow"
        Action = [
          "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
          "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
        ]
        # Lambda takes no narrower right, and looks for this one when the function is made:
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
        Resource = ["*"]
      },
      {
        # The right is Lambda's, not the code's: calls out of the function itself are refused.
        Sid       = "TheFunctionDoesNot"
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
  description                    = var.manifest.description
  role                           = aws_iam_role.this.arn
  package_type                   = "Image"
  image_uri                      = var.image_uri
  architectures                  = [var.architecture]
  memory_size                    = var.manifest.memory_mib
  timeout                        = var.manifest.timeout_seconds
  reserved_concurrent_executions = local.reserved
  publish                        = true
  tags                           = var.tags

  dynamic "environment" {
    for_each = length(var.environment) == 0 ? [] : [var.environment]

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

  # Before its first call, or Lambda makes a log group without retention by itself.
  depends_on = [
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy.this,
    aws_iam_role_policy.tracing,
    aws_iam_role_policy.network,
  ]
}

# A version that cannot be initialised, or does not answer, ends the apply here: `live` stays at the
# version before, and no caller and no message ever meets the new one.
resource "aws_lambda_invocation" "warm_up" {
  # A version that gets no calls is not asked: to go back from one that does not start must not start it.
  count = var.warm_up_enabled && (var.live_version == null || local.canary) ? 1 : 0

  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_function.this.version
  input         = local.warm_up
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "What is called: by the API, the queue and the schedules."
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

# Calls of the alias that nobody waits for (the warmer's) are not repeated: the next one comes anyway.
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
