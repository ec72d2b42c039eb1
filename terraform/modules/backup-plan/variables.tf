variable "prefix" {
  description = "The prefix of all resource names."
  type        = string
  default     = "darkroom"
}

variable "tags" {
  description = "Tags in addition to the provider's default tags."
  type        = map(string)
  default     = {}
}

variable "table_arns" {
  description = "ARNs of the DynamoDB tables to back up."
  type        = list(string)
}

variable "cluster_arns" {
  description = "ARNs of the Aurora clusters to back up."
  type        = list(string)
  default     = []
}

variable "destination_vault_arn" {
  description = "Vault in the other region that receives the copies; see the module `backup-region`."
  type        = string
}

variable "kms_key_arns" {
  description = "Customer managed keys that AWS Backup uses: of the destination vault, and of clusters."
  type        = list(string)
}

variable "schedule" {
  description = "When backups start, UTC."
  type        = string
  default     = "cron(0 4 * * ? *)"
}

variable "retention_days" {
  description = "Retention of the backups and of their copies, in days."
  type        = number
  default     = 35

  validation {
    condition     = var.retention_days >= 1
    error_message = "retention_days must be at least 1, got ${var.retention_days}."
  }
}

variable "force_destroy" {
  description = "Whether destroy deletes the vault with its backups. Keep it false in production."
  type        = bool
  default     = false
}
