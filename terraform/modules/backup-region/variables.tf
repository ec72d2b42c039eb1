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

variable "instance" {
  description = "RDS instance of the first region whose automated backups are replicated, and their retention in days; null for none. Aurora has no such replication: the module `backup-plan` copies its backups."
  type        = object({ arn = string, retention_days = number })
  default     = null
}

variable "force_destroy" {
  description = "Whether destroy deletes the vault with its backups. Keep it false in production."
  type        = bool
  default     = false
}
