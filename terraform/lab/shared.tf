# Resources that functions share: buckets, tables, topics, the sender, secrets.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}

module "storage" {
  source = "../modules/storage"

  prefix                 = var.prefix
  bucket_suffix          = var.bucket_suffix
  tables                 = local.topology.tables
  force_destroy          = !var.protected
  deletion_protection    = var.protected
  point_in_time_recovery = var.point_in_time_recovery
  tls_only               = local.has.tls
  replicas               = { for name in keys(local.copied_buckets) : name => module.copies[0].bucket_arns[name] }

  existing_buckets     = { for name, bucket in var.existing_buckets : name => bucket if contains(keys(local.topology.buckets), name) }
  notification_command = var.python

  buckets = {
    for name, bucket in local.topology.buckets : name => {
      versioned   = try(bucket.versioned, false)
      expire_days = try(bucket.expire_days, null)
      # Only customers upload from web pages.
      upload_origins = can(bucket.uploads_from) && contains(var.features, "customers") ? local.sites[bucket.uploads_from] : []
    }
  }

  notifications = {
    for name in keys(local.topology.buckets) : name => {
      for function, sources in local.bucket_sources : function => {
        queue_arn = module.queue[function].arn
        events    = sources[name].events
      } if can(sources[name])
    } if anytrue([for sources in local.bucket_sources : can(sources[name])])
  }
}

resource "aws_sns_topic" "this" {
  for_each = local.topology.topics

  name = "${var.prefix}-${each.key}"
  # The AWS managed key costs nothing, and only callers of this account may use it: services cannot.
  kms_master_key_id = try(each.value.published_by, null) == null ? "alias/aws/sns" : null
}

# Replaces the default policy of a topic, which allows every principal of the account to publish.
# A topic without publishers, that of the orders in a lab of photos only, keeps that default.
resource "aws_sns_topic_policy" "this" {
  for_each = { for name, topic in aws_sns_topic.this : name => topic if length(local.publishers[name]) > 0 || try(local.topology.topics[name].published_by, null) != null }

  arn = each.value.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      try(local.topology.topics[each.key].published_by, null) != null ? [{
        Sid       = "Service"
        Effect    = "Allow"
        Principal = { Service = "${local.topology.topics[each.key].published_by}.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = each.value.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      }] : [],
      try(local.topology.topics[each.key].published_by, null) == null ? [{
        Sid       = "Publishers"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "sns:Publish"
        Resource  = each.value.arn
        Condition = { ArnEquals = { "aws:PrincipalArn" = local.publishers[each.key] } }
      }] : [],
      local.has.tls ? [{
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "sns:Publish"
        Resource  = each.value.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }] : [],
    )
  })
}

locals {
  # Roles of the functions that may publish to each topic: on Lambda and as a worker.
  publishers = {
    for topic in keys(local.topology.topics) : topic => flatten([
      for name in sort(keys(local.manifests)) : [
        for suffix in can(local.manifests[name].trigger.queue) ? ["", "-worker"] : [""] :
        "arn:${local.partition}:iam::${local.account}:role/${var.prefix}-${name}${suffix}"
      ]
      if anytrue([for grant in try(local.manifests[name].grants, []) : try(grant.topic == topic && contains(grant.actions, "sns:Publish"), false)])
    ])
  }
}

# The identity is the address without its display name. SES sends one e-mail to it; its link confirms.
resource "aws_ses_email_identity" "sender" {
  for_each = local.mail_senders

  email = try(regex("<([^>]+)>", each.value)[0], each.value)
}

# In the sandbox SES accepts only verified recipients, and a role needs permission for their identities
# too: https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html
resource "aws_ses_email_identity" "recipient" {
  for_each = length(local.mail_senders) > 0 ? var.mail_sandbox_recipients : []

  email = each.key
}

resource "aws_secretsmanager_secret" "payments" {
  count = contains(keys(local.topology.secrets), "payments") ? 1 : 0

  name                    = "${var.prefix}-payments"
  description             = "Keys of the payment provider: {api_key, webhook_secret}."
  recovery_window_in_days = var.protected ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "payments" {
  count = var.payments_secret_version > 0 && contains(keys(local.topology.secrets), "payments") ? 1 : 0

  secret_id                = aws_secretsmanager_secret.payments[0].id
  secret_string_wo         = var.payments_secret
  secret_string_wo_version = var.payments_secret_version
}

resource "aws_secretsmanager_secret" "webhooks" {
  count = contains(keys(local.topology.secrets), "webhooks") ? 1 : 0

  name                    = "${var.prefix}-webhooks"
  description             = "Webhooks of the deployment: {endpoints: [{url, secrets, events}]}. May have no value."
  recovery_window_in_days = var.protected ? 30 : 0
}
