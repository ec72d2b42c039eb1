# A function's queue and its dead letter queue. services/local/provision creates the same for the
# embedded lab; a test compares the two.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  queue_name       = "${var.prefix}-${var.name}"
  dead_letter_name = "${local.queue_name}-dead-letters"
  account          = data.aws_caller_identity.current.account_id

  # Each queue's policy names the other, so the ARNs are built from names.
  arns = {
    for name in [local.queue_name, local.dead_letter_name] :
    name => "arn:${data.aws_partition.current.partition}:sqs:${data.aws_region.current.id}:${local.account}:${name}"
  }

  dead_letter_retention_seconds = 14 * 24 * 3600 # the maximum
  retention_seconds             = 4 * 24 * 3600

  # Sorted by name, since the order in a manifest has no meaning.
  senders = concat(
    [for name in sort(keys(var.bucket_arns)) : {
      Sid       = "Bucket${join("", [for word in split("-", name) : title(word)])}"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.arns[local.queue_name]
      Condition = {
        ArnEquals = { "aws:SourceArn" = var.bucket_arns[name] }
        # A bucket's ARN contains no account, and another account may take a deleted bucket's name.
        StringEquals = { "aws:SourceAccount" = local.account }
      }
    }],
    [for name in sort(keys(var.topic_arns)) : {
      Sid       = "Topic${join("", [for word in split("-", name) : title(word)])}"
      Effect    = "Allow"
      Principal = { Service = "sns.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.arns[local.queue_name]
      Condition = { ArnEquals = { "aws:SourceArn" = var.topic_arns[name] } }
    }],
    # A condition, since a role must exist before a policy names it as principal, and the role's own
    # policy needs the queue first.
    [for name in sort(keys(var.sender_role_arns)) : {
      Sid       = "Workflow${join("", [for word in split("-", name) : title(word)])}"
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${local.account}:root" }
      Action    = "sqs:SendMessage"
      Resource  = local.arns[local.queue_name]
      Condition = { ArnEquals = { "aws:PrincipalArn" = var.sender_role_arns[name] } }
    }],
    [for name in sort(concat(tolist(var.event_rules), var.schedule == null ? [] : [local.queue_name])) : {
      Sid       = name == local.queue_name ? "Schedule" : "Rule${join("", [for word in split("-", name) : title(word)])}"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.arns[local.queue_name]
      Condition = { ArnEquals = { "aws:SourceArn" = "arn:${data.aws_partition.current.partition}:events:${data.aws_region.current.id}:${local.account}:rule/${name}" } }
    }],
  )

  tls_only = {
    for name, arn in local.arns : name => var.tls_only ? [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }] : []
  }
  statements             = [for s in concat(local.senders, local.tls_only[local.queue_name]) : jsonencode(s)]
  dead_letter_statements = [for s in local.tls_only[local.dead_letter_name] : jsonencode(s)]
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = local.dead_letter_name
  message_retention_seconds = local.dead_letter_retention_seconds
  max_message_size          = 262144 # the limit of SNS and Step Functions
  # SQS's own key: a customer managed key would add calls to KMS and need grants for S3 and SNS.
  sqs_managed_sse_enabled = true
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arns[local.queue_name]]
  })
  policy = length(local.dead_letter_statements) == 0 ? null : jsonencode({
    Version   = "2012-10-17"
    Statement = [for s in local.dead_letter_statements : jsondecode(s)]
  })
  tags = var.tags
}

resource "aws_sqs_queue" "this" {
  name                       = local.queue_name
  message_retention_seconds  = local.retention_seconds
  max_message_size           = 262144
  visibility_timeout_seconds = 6 * var.timeout_seconds
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
  policy = length(local.statements) == 0 ? null : jsonencode({
    Version   = "2012-10-17"
    Statement = [for s in local.statements : jsondecode(s)]
  })
  tags = var.tags
}

resource "aws_sns_topic_subscription" "this" {
  for_each = var.topic_arns

  topic_arn = each.value
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.this.arn
  filter_policy = lookup(var.filters, each.key, null) == null ? null : jsonencode({
    for attribute, values in var.filters[each.key] : attribute => sort(values)
  })
}

resource "aws_cloudwatch_event_rule" "schedule" {
  count = var.schedule == null ? 0 : 1

  name                = local.queue_name
  description         = "Schedule of ${var.name}."
  schedule_expression = var.schedule
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "schedule" {
  count = var.schedule == null ? 0 : 1

  rule      = aws_cloudwatch_event_rule.schedule[0].name
  target_id = "queue"
  arn       = aws_sqs_queue.this.arn
}
