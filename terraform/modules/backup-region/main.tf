# What receives copies of backups in another region: a key, a vault, and the automated backups of an RDS
# instance. All resources are in the region of the module's provider.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

# RDS and AWS Backup encrypt the copies with a key of this region.
resource "aws_kms_key" "this" {
  description             = "Copies of the backups of ${var.prefix}."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags

  # IAM policies allow the use of the key: those of AWS Backup's role and of who restores backups.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Account"
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.prefix}-backups"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_backup_vault" "this" {
  name          = "${var.prefix}-copies"
  kms_key_arn   = aws_kms_key.this.arn
  force_destroy = var.force_destroy
  tags          = var.tags
}

# Snapshots and transaction logs, so that this region restores to any second, some minutes late.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ReplicateBackups.html
resource "aws_db_instance_automated_backups_replication" "this" {
  count = var.instance == null ? 0 : 1

  source_db_instance_arn = var.instance.arn
  kms_key_id             = aws_kms_key.this.arn
  retention_period       = var.instance.retention_days
}
