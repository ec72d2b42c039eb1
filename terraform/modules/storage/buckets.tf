# Private buckets, reached by functions and presigned links only.

resource "aws_s3_bucket" "this" {
  for_each = var.buckets

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
  for_each = { for name, bucket in var.buckets : name => bucket if bucket.versioned }

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = var.buckets

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
  for_each = { for name, bucket in var.buckets : name => bucket if length(bucket.upload_origins) > 0 }

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
  for_each = var.notifications

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
