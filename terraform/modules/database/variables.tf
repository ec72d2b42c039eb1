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
  description = "Postgres version: major, or major and minor. With the major alone, RDS installs minor versions."
  type        = string
  default     = "17"
}

variable "instance" {
  description = "Settings of engine_mode = instance. Storage grows automatically up to the maximum."
  type = object({
    class               = optional(string, "db.t4g.micro")
    storage_gib         = optional(number, 20)
    maximum_storage_gib = optional(number, 200)
    multi_az            = optional(bool, false)
  })
  default = {}
}

variable "serverless" {
  description = "Settings of engine_mode = serverless, in Aurora capacity units (2 GiB of memory each). With a minimum of 0 it pauses, and the next connection takes about 15 s."
  type = object({
    minimum_acu         = optional(number, 0.5)
    maximum_acu         = optional(number, 4)
    instances           = optional(number, 1)
    pause_after_seconds = optional(number, 300)
  })
  default = {}

  validation {
    condition     = var.serverless.minimum_acu <= var.serverless.maximum_acu && var.serverless.instances >= 1
    error_message = "serverless needs minimum_acu <= maximum_acu and at least 1 instance."
  }
}

variable "database_name" {
  description = "Name of the database."
  type        = string
  default     = "darkroom"
}

variable "username" {
  description = "The server's user; RDS manages its password."
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
  description = "Days for which the database can be restored to any second."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 35
    error_message = "backup_retention_days must be 1..35, RDS's limit. 0 would disable backups."
  }
}

variable "backup_window" {
  description = "Time of the daily snapshot, UTC."
  type        = string
  default     = "02:00-03:00"
}

variable "maintenance_window" {
  description = "Time in which minor versions are installed, UTC."
  type        = string
  default     = "sun:03:30-sun:04:30"
}

variable "log_retention_days" {
  description = "Retention of Postgres' logs, in days."
  type        = number
  default     = 30
}

variable "deletion_protection" {
  description = "Whether the server is protected from deletion and leaves a final snapshot."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "KMS key of the storage; null for RDS's own key."
  type        = string
  default     = null
}

variable "proxy_enabled" {
  description = "Whether RDS Proxy is used: functions authenticate with IAM tokens, connections are pooled and survive a failover. Without it, functions read the server's secret."
  type        = bool
  default     = true
}

# -- the network

variable "cidr_block" {
  description = "The VPC's address block, /16 to /20."
  type        = string
  default     = "10.64.0.0/16"

  validation {
    condition     = can(cidrhost(var.cidr_block, 0)) && try(tonumber(split("/", var.cidr_block)[1]) >= 16 && tonumber(split("/", var.cidr_block)[1]) <= 20, false)
    error_message = "cidr_block must be an IPv4 block of /16 to /20, got ${var.cidr_block}."
  }
}

variable "availability_zones" {
  description = "Number of availability zones with subnets; RDS needs at least 2."
  type        = number
  default     = 2

  validation {
    condition     = contains([2, 3], var.availability_zones)
    error_message = "availability_zones must be 2 or 3, got ${var.availability_zones}."
  }
}

variable "zone_ids" {
  description = "Ids of the zones (euc1-az2), in place of the first `availability_zones`: for a zone without a service that the lab needs, or the same zones in several accounts. A change replaces the subnets."
  type        = list(string)
  default     = null

  validation {
    condition     = var.zone_ids == null || try(contains([2, 3], length(distinct(var.zone_ids))) && length(distinct(var.zone_ids)) == length(var.zone_ids), false)
    error_message = "zone_ids must name 2 or 3 different zones."
  }
}

variable "interface_endpoints" {
  description = "AWS services with an interface endpoint, for functions in the VPC; S3 and DynamoDB have gateway endpoints. Each costs by zone and hour. Workers in the VPC need ecr.api, ecr.dkr, logs and sqs."
  type        = set(string)
  default     = ["email", "secretsmanager", "sns", "sqs", "states"]
}

variable "endpoint_zones" {
  description = "Number of zones with interface endpoints; null for all. One zone costs half, and its failure affects all zones."
  type        = number
  default     = null

  validation {
    condition     = var.endpoint_zones == null || try(var.endpoint_zones >= 1 && var.endpoint_zones <= var.availability_zones, false)
    error_message = "endpoint_zones must be 1..availability_zones."
  }
}

variable "outbound_enabled" {
  description = "Whether a NAT gateway gives the subnets of `outbound_vpc` access to the internet, for functions that call a payment provider."
  type        = bool
  default     = false
}
