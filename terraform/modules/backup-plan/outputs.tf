output "vault_name" {
  description = "Vault of this region."
  value       = aws_backup_vault.this.name
}

output "plan_id" {
  description = "Id of the backup plan."
  value       = aws_backup_plan.this.id
}

output "role_arn" {
  description = "Role that AWS Backup uses."
  value       = aws_iam_role.this.arn
}
