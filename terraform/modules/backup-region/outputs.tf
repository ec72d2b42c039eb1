output "vault_arn" {
  description = "Vault that receives copies of backups."
  value       = aws_backup_vault.this.arn
}

output "vault_name" {
  description = "Name of that vault."
  value       = aws_backup_vault.this.name
}

output "kms_key_arn" {
  description = "Key of the copies."
  value       = aws_kms_key.this.arn
}

output "replicated_backup_arn" {
  description = "RDS's replicated automated backups, the source of a restore; null without an instance."
  value       = one(aws_db_instance_automated_backups_replication.this[*].id)
}
