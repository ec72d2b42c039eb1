variable "prefix" {
  description = "What every name begins with."
  type        = string
  default     = "darkroom"
}

variable "tags" {
  description = "Tags beside the provider's default ones."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "The database's name after the prefix."
  type        = string
  default     = "database"
}

# -- the server

variable "engine_mode" {
  description = "instance: one RDS server of a fixed size. serverless: Aurora Serverless v2."
  type        = string
  default     = "instance"

  validation {
    condition     = contains(["instance", "serverless"], var.engine_mode)
    error_message = "engine_mode must be instance or serverless, got ${var.engine_mode}."
  }
}

variable "engine_version" {
  description = "Postgres' major version, or major and minor; the newest minor otherwise."
  type        = string
  default     = "17"
}

variable "instance" {
  description = "Of engine_mode = instance. Storage grows by itself up to the maximum."
  type = object({
    class               = optional(string, "db.t4g.micro")
    storage_gib         = optional(number, 20)
    maximum_storage_gib = optional(number, 200)
    multi_az            = optional(bool, false)
  })
  default = {}
}

variable "serverless" {
  description = "Of engine_mode = serverless, in Aurora capacity units (2 GiB of memory each). A minimum of 0 lets it pause, which costs whoever comes next some 15 s."
  type = object({
    minimum_acu         = optional(number, 0.5)
    maximum_acu         = optional(number, 4)
    instances           = optional(number, 1)
    pause_after_seconds = optional(number, 300)
  })
  default = {}

  validation {
    condition     = var.serverless.minimum_acu <= var.serverless.maximum_acu && var.serverless.instances >= 1
    error_message = "serverless wants minimum_acu <= maximum_acu, and one instance or more."
  }
}

variable "database_name" {
  description = "The database in the server."
  type        = string
  default     = "darkroom"
}

variable "username" {
  description = "The server's user; its password is RDS's affair."
  type        = string
  default     = "darkroom"
}

variable "rotation_days" {
  description = "How often RDS changes the password, in days."
  type        = number
  default     = 7

  validation {
    condition     = var.rotation_days >= 1 && var.rotation_days <= 1000
    error_message = "rotation_days must be 1..1000, Secrets Manager's limit."
  }
}

variable "backup_retention_days" {
  description = "How far back the database can be restored to any second, in days."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 35
    error_message = "backup_retention_days must be 1..35, RDS's limit; a lab without backups loses customers' orders."
  }
}

variable "backup_window" {
  description = "When the daily snapshot is taken, UTC."
  type        = string
  default     = "02:00-03:00"
}

variable "maintenance_window" {
  description = "When minor versions are installed, UTC."
  type        = string
  default     = "sun:03:30-sun:04:30"
}

variable "deletion_protection" {
  description = "Whether the server refuses to be deleted, and leaves a last snapshot behind."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Key for storage; RDS's own without it."
  type        = string
  default     = null
}

variable "proxy_enabled" {
  description = "Whether RDS Proxy is in front: functions enter with tokens instead of a password, connections are shared and survive a failover. Without it functions read the server's secret."
  type        = bool
  default     = true
}

# -- the network

variable "cidr_block" {
  description = "The VPC's addresses, a /16 to /20."
  type        = string
  default     = "10.64.0.0/16"

  validation {
    condition     = can(cidrhost(var.cidr_block, 0)) && try(tonumber(split("/", var.cidr_block)[1]) >= 16 && tonumber(split("/", var.cidr_block)[1]) <= 20, false)
    error_message = "cidr_block must be an IPv4 block of /16 to /20, got ${var.cidr_block}."
  }
}

variable "availability_zones" {
  description = "How many zones there are subnets in; RDS wants two."
  type        = number
  default     = 2

  validation {
    condition     = contains([2, 3], var.availability_zones)
    error_message = "availability_zones must be 2 or 3, got ${var.availability_zones}."
  }
}

variable "interface_endpoints" {
  description = "AWS services that functions in the VPC call, beside S3 and DynamoDB. Each costs by zone and hour. Workers in the VPC need ecr.api, ecr.dkr, logs and sqs."
  type        = set(string)
  default     = ["email", "secretsmanager", "sns", "sqs", "states"]
}

variable "endpoint_zones" {
  description = "How many zones the interface endpoints are in, all when null. With one, the others go there: half the price, and one zone's failure is everybody's."
  type        = number
  default     = null

  validation {
    condition     = var.endpoint_zones == null || try(var.endpoint_zones >= 1 && var.endpoint_zones <= var.availability_zones, false)
    error_message = "endpoint_zones must be 1..availability_zones."
  }
}

variable "outbound_enabled" {
  description = "Whether there is a way out to the internet (a NAT gateway) for functions that are given `outbound_vpc`: those that call a payment provider. No other function is in its subnets, and nothing of AWS goes through it."
  type        = bool
  default     = false
}
