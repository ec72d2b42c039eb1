# Copies of new objects in buckets of another region.

resource "aws_iam_role" "replication" {
  count = length(var.replicas) > 0 ? 1 : 0

  name        = "${var.prefix}-replication"
  description = "S3 copies objects to the buckets of another region."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
resource "aws_iam_role_policy" "replication" {
  count = length(var.replicas) > 0 ? 1 : 0

  name = "replication"
  role = aws_iam_role.replication[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadConfiguration"
        Effect   = "Allow"
        Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
        Resource = [for name in sort(keys(var.replicas)) : aws_s3_bucket.this[name].arn]
      },
      {
        Sid      = "ReadObjects"
        Effect   = "Allow"
        Action   = ["s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"]
        Resource = [for name in sort(keys(var.replicas)) : "${aws_s3_bucket.this[name].arn}/*"]
      },
      {
        Sid      = "WriteReplicas"
        Effect   = "Allow"
        Action   = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"]
        Resource = [for name in sort(keys(var.replicas)) : "${var.replicas[name]}/*"]
      },
    ]
  })
}

resource "aws_s3_bucket_replication_configuration" "this" {
  for_each = var.replicas

  bucket = aws_s3_bucket.this[each.key].id
  role   = aws_iam_role.replication[0].arn

  rule {
    id     = "copies"
    status = "Enabled"

    # A rule with a filter replicates delete markers only with this block.
    filter {}

    # What is deleted here is deleted there, where lifecycle rules then remove its versions.
    delete_marker_replication {
      status = "Enabled"
    }

    destination {
      bucket = each.value
    }
  }

  # Replication needs versioning first.
  depends_on = [aws_s3_bucket_versioning.this]
}
