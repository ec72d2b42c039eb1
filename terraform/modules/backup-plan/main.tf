# Daily backups of DynamoDB tables and Aurora clusters, and their copies in a vault of another region.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}

# AWS Backup copies to another region only what is in a vault of this one.
resource "aws_backup_vault" "this" {
  #checkov:skip=CKV_AWS_166:AWS Backup's own key, as everything of this region; the copies have a customer managed key.
  name          = var.prefix
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_backup_plan" "this" {
  name = var.prefix
  tags = var.tags

  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.this.name
    schedule          = var.schedule

    # A copy cannot outlive the backup it was made from, so both have the same lifecycle:
    # https://docs.aws.amazon.com/aws-backup/latest/devguide/recov-point-create-a-copy.html
    lifecycle {
      delete_after = var.retention_days
    }

    copy_action {
      destination_vault_arn = var.destination_vault_arn

      lifecycle {
        delete_after = var.retention_days
      }
    }
  }
}

resource "aws_backup_selection" "this" {
  name         = var.prefix
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.this.arn
  resources    = concat(var.table_arns, var.cluster_arns)

  # The first job may start at once.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_iam_role" "this" {
  name        = "${var.prefix}-backups"
  description = "AWS Backup makes, copies and deletes backups of ${var.prefix}."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "backup.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# The part of AWSBackupServiceRolePolicyForBackup for these resources, vaults and keys:
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForBackup.html
resource "aws_iam_role_policy" "this" {
  name = "backups"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "UseVaults"
          Effect   = "Allow"
          Action   = ["backup:CopyFromBackupVault", "backup:CopyIntoBackupVault", "backup:DescribeBackupVault"]
          Resource = [aws_backup_vault.this.arn, var.destination_vault_arn]
        },
        {
          Sid       = "TagBackups"
          Effect    = "Allow"
          Action    = ["backup:TagResource"]
          Resource  = ["arn:${local.partition}:backup:*:${local.account}:recovery-point:*"]
          Condition = { StringEquals = { "aws:ResourceAccount" = local.account } }
        },
        {
          # Has no resource.
          Sid      = "FindResources"
          Effect   = "Allow"
          Action   = ["tag:GetResources"]
          Resource = ["*"]
        },
        {
          Sid      = "ReadKeys"
          Effect   = "Allow"
          Action   = ["kms:DescribeKey"]
          Resource = var.kms_key_arns
        },
        {
          Sid       = "LendKeys"
          Effect    = "Allow"
          Action    = ["kms:CreateGrant"]
          Resource  = var.kms_key_arns
          Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
        },
      ],
      [for statement in [
        {
          Sid      = "BackUpTables"
          Effect   = "Allow"
          Action   = ["dynamodb:DescribeTable", "dynamodb:ListTagsOfResource", "dynamodb:StartAwsBackupJob"]
          Resource = var.table_arns
        },
        {
          Sid       = "EncryptTables"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = var.kms_key_arns
          Condition = { StringLike = { "kms:ViaService" = "dynamodb.*.amazonaws.com" } }
        },
      ] : statement if length(var.table_arns) > 0],
      [for statement in [
        {
          Sid      = "ReadClusters"
          Effect   = "Allow"
          Action   = ["rds:DescribeDBClusterSnapshots", "rds:DescribeDBClusters", "rds:ListTagsForResource"]
          Resource = ["arn:${local.partition}:rds:*:${local.account}:cluster:*", "arn:${local.partition}:rds:*:${local.account}:cluster-snapshot:*"]
        },
        {
          Sid      = "BackUpClusters"
          Effect   = "Allow"
          Action   = ["rds:AddTagsToResource", "rds:CopyDBClusterSnapshot", "rds:CreateDBClusterSnapshot", "rds:DeleteDBClusterSnapshot"]
          Resource = concat(var.cluster_arns, ["arn:${local.partition}:rds:*:${local.account}:cluster-snapshot:awsbackup:*"])
        },
      ] : statement if length(var.cluster_arns) > 0],
    )
  })
}
