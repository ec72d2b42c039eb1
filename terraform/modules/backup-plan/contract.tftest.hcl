mock_provider "aws" {
  override_during = plan

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_backup_vault" {
    defaults = { arn = "arn:aws:backup:eu-central-1:123456789012:backup-vault:darkroom" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/darkroom-backups" }
  }
}

variables {
  table_arns            = ["arn:aws:dynamodb:eu-central-1:123456789012:table/darkroom-images"]
  destination_vault_arn = "arn:aws:backup:eu-west-1:123456789012:backup-vault:darkroom-copies"
  kms_key_arns          = ["arn:aws:kms:eu-west-1:123456789012:key/1"]
}

run "daily_backups_are_copied_to_the_other_region" {
  command = plan

  assert {
    condition = [for rule in aws_backup_plan.this.rule : [
      rule.schedule, one(rule.lifecycle).delete_after,
      one(rule.copy_action).destination_vault_arn, one(one(rule.copy_action).lifecycle).delete_after,
    ]] == [["cron(0 4 * * ? *)", 35, var.destination_vault_arn, 35]]
    error_message = "expected one rule with a copy that lives as long as its backup"
  }
  assert {
    condition     = aws_backup_selection.this.resources == toset(var.table_arns) && aws_backup_selection.this.iam_role_arn == aws_iam_role.this.arn
    error_message = "expected backups of the tables by the module's role"
  }
}

run "role_may_back_up_the_tables_only" {
  command = plan

  assert {
    condition = { for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid => join(" ", s.Resource) } == {
      UseVaults     = "${aws_backup_vault.this.arn} ${var.destination_vault_arn}"
      TagBackups    = "arn:aws:backup:*:123456789012:recovery-point:*"
      FindResources = "*"
      ReadKeys      = var.kms_key_arns[0]
      LendKeys      = var.kms_key_arns[0]
      BackUpTables  = var.table_arns[0]
      EncryptTables = var.kms_key_arns[0]
    }
    error_message = "expected permissions for these vaults, keys and tables"
  }
  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Action])) == toset([
      "backup:CopyFromBackupVault", "backup:CopyIntoBackupVault", "backup:DescribeBackupVault", "backup:TagResource",
      "dynamodb:DescribeTable", "dynamodb:ListTagsOfResource", "dynamodb:StartAwsBackupJob",
      "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "tag:GetResources",
    ])
    error_message = "expected the actions of backups only: no restore, no items"
  }
}

run "cluster_is_backed_up_and_others_are_not_written" {
  command = plan

  variables {
    cluster_arns = ["arn:aws:rds:eu-central-1:123456789012:cluster:darkroom-database"]
  }

  assert {
    condition     = contains(aws_backup_selection.this.resources, var.cluster_arns[0])
    error_message = "expected backups of the cluster"
  }
  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if s.Sid == "BackUpClusters"]) == [
      var.cluster_arns[0], "arn:aws:rds:*:123456789012:cluster-snapshot:awsbackup:*",
    ]
    error_message = "expected snapshots of this cluster, and changes of AWS Backup's snapshots only"
  }
}

run "retention_of_no_day_is_refused" {
  command = plan

  variables {
    retention_days = 0
  }

  expect_failures = [var.retention_days]
}
