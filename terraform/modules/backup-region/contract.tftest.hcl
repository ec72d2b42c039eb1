mock_provider "aws" {
  override_during = plan

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/1" }
  }
}

run "vault_has_a_key_of_the_account" {
  command = plan

  assert {
    condition     = aws_backup_vault.this.name == "darkroom-copies" && aws_backup_vault.this.kms_key_arn == aws_kms_key.this.arn && aws_kms_key.this.enable_key_rotation
    error_message = "expected a vault with a key that rotates"
  }
  assert {
    condition     = [for s in jsondecode(aws_kms_key.this.policy).Statement : s.Principal.AWS] == ["arn:aws:iam::123456789012:root"]
    error_message = "expected a key for this account only"
  }
  assert {
    condition     = length(aws_db_instance_automated_backups_replication.this) == 0
    error_message = "expected no replication without an instance"
  }
}

run "automated_backups_of_the_instance_are_replicated" {
  command = plan

  variables {
    instance = { arn = "arn:aws:rds:eu-central-1:123456789012:db:darkroom-database", retention_days = 14 }
  }

  assert {
    condition = [for r in aws_db_instance_automated_backups_replication.this : [r.source_db_instance_arn, r.kms_key_id, r.retention_period]] == [
      [var.instance.arn, aws_kms_key.this.arn, 14]
    ]
    error_message = "expected its backups, encrypted by the region's key, with the instance's retention"
  }
}
