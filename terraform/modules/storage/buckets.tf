# Private buckets, reached by functions and presigned links only.

data "aws_partition" "current" {}

locals {
  new_buckets = { for name, bucket in var.buckets : name => bucket if !contains(keys(var.existing_buckets), name) }
}

resource "aws_s3_bucket" "this" {
  for_each = local.new_buckets

  bucket        = join("-", compact([var.prefix, each.key, var.bucket_suffix]))
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# Disable object ACLs.
resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# S3's own key. A customer managed key would add a call to KMS for each put and get, and would have to be
# part of presigned upload forms.
resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = { for name, bucket in local.new_buckets : name => bucket if bucket.versioned }

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  #checkov:skip=CKV_AWS_300:The first rule ends abandoned uploads; the check reads the dynamic rules alone.
  for_each = local.new_buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "abandoned-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  dynamic "rule" {
    for_each = each.value.expire_days == null ? [] : [each.value.expire_days]

    content {
      id     = "expired"
      status = "Enabled"

      filter {}

      expiration {
        days = rule.value
      }
    }
  }

  dynamic "rule" {
    for_each = each.value.versioned ? [var.noncurrent_days] : []

    content {
      id     = "overwritten-or-deleted"
      status = "Enabled"

      filter {}

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }

      expiration {
        expired_object_delete_marker = true
      }
    }
  }

  # Rules about versions need versioning first.
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_cors_configuration" "this" {
  for_each = { for name, bucket in local.new_buckets : name => bucket if length(bucket.upload_origins) > 0 }

  bucket = aws_s3_bucket.this[each.key].id

  cors_rule {
    id              = "uploads"
    allowed_methods = ["POST"]
    allowed_origins = sort(each.value.upload_origins)
    allowed_headers = ["*"]
    expose_headers  = ["ETag"]
    max_age_seconds = 600
  }
}

resource "aws_s3_bucket_policy" "tls_only" {
  for_each = var.tls_only ? aws_s3_bucket.this : {}

  bucket = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [each.value.arn, "${each.value.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # Concurrent changes of both fail with a conflict.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_notification" "this" {
  for_each = { for name, queues in var.notifications : name => queues if contains(keys(local.new_buckets), name) }

  bucket = aws_s3_bucket.this[each.key].id

  dynamic "queue" {
    for_each = each.value

    content {
      id        = queue.key
      queue_arn = queue.value.queue_arn
      events    = sort(queue.value.events)
    }
  }
}

# A bucket has one notification configuration, which aws_s3_bucket_notification replaces as a whole. In an
# existing bucket, only the lab's own entries are added and removed.
locals {
  existing_notifications = {
    for pair in flatten([
      for bucket, queues in var.notifications : [
        for name, queue in queues : {
          key    = "${bucket}/${name}"
          id     = "${var.prefix}-${name}"
          bucket = var.existing_buckets[bucket]
          queue  = queue
        }
      ] if contains(keys(var.existing_buckets), bucket)
    ]) : pair.key => pair
  }

  # Of an event pattern, which has no filter with a prefix and a suffix at once other than a wildcard.
  key_filters = {
    for name, bucket in var.existing_buckets : name => (
      bucket.prefix != "" && bucket.suffix != "" ? [{ wildcard = "${replace(replace(bucket.prefix, "\\", "\\\\"), "*", "\\*")}*${replace(replace(bucket.suffix, "\\", "\\\\"), "*", "\\*")}" }]
      : bucket.prefix != "" ? [{ prefix = bucket.prefix }]
      : bucket.suffix != "" ? [{ suffix = bucket.suffix }]
      : []
    )
  }
}

resource "aws_cloudwatch_event_rule" "objects" {
  for_each = { for key, pair in local.existing_notifications : key => pair if pair.bucket.events_by == "eventbridge" }

  name        = each.value.id
  description = "Objects of ${each.value.bucket.name} for ${each.key}."
  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = sort(distinct([for event in each.value.queue.events : startswith(event, "s3:ObjectCreated") ? "Object Created" : "Object Deleted"]))
    detail = merge(
      { bucket = { name = [each.value.bucket.name] } },
      [for filter in [local.key_filters[split("/", each.key)[0]]] : length(filter) == 0 ? {} : { object = { key = filter } }][0],
    )
  })
  tags = var.tags
}

resource "aws_cloudwatch_event_target" "objects" {
  for_each = aws_cloudwatch_event_rule.objects

  rule      = each.value.name
  target_id = "queue"
  arn       = local.existing_notifications[each.key].queue.queue_arn
}

resource "terraform_data" "notification" {
  for_each = { for key, pair in local.existing_notifications : key => pair if pair.bucket.events_by == "notification" }

  triggers_replace = [each.value.bucket, each.value.id, each.value.queue.queue_arn, sort(each.value.queue.events)]
  # Destroy provisioners may use `self` only.
  input = {
    command = coalesce(var.notification_command, "${path.module}/../../../.venv/bin/python")
    script  = "${path.module}/bucket_notification.py"
    bucket  = each.value.bucket.name
    id      = each.value.id
  }

  provisioner "local-exec" {
    command = "\"$COMMAND\" \"$SCRIPT\" add"
    environment = {
      COMMAND   = self.input.command
      SCRIPT    = self.input.script
      BUCKET    = self.input.bucket
      ID        = self.input.id
      QUEUE_ARN = each.value.queue.queue_arn
      EVENTS    = join(" ", sort(each.value.queue.events))
      PREFIX    = each.value.bucket.prefix
      SUFFIX    = each.value.bucket.suffix
    }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "\"$COMMAND\" \"$SCRIPT\" remove"
    environment = {
      COMMAND = self.input.command
      SCRIPT  = self.input.script
      BUCKET  = self.input.bucket
      ID      = self.input.id
    }
  }
}
