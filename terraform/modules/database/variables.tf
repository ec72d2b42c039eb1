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

variable "settings" {
  description = "The server and its network."
  type = object({
    # instance: one RDS server of a fixed size. serverless: Aurora Serverless v2.
    engine_mode = optional(string, "instance")
    # Major, or major and minor. With the major alone, RDS installs minor versions.
    engine_version = optional(string, "17")
    # Of engine_mode = instance. Storage grows automatically up to the maximum.
    instance = optional(object({
      class               = optional(string, "db.t4g.micro")
      storage_gib         = optional(number, 20)
      maximum_storage_gib = optional(number, 200)
      multi_az            = optional(bool, false)
    }), {})
    # Of engine_mode = serverless, in Aurora capacity units (2 GiB of memory each). With a minimum of 0 it
    # pauses, and the next connection takes about 15 s.
    serverless = optional(object({
      minimum_acu         = optional(number, 0.5)
      maximum_acu         = optional(number, 4)
      instances           = optional(number, 1)
      pause_after_seconds = optional(number, 300)
    }), {})
    database_name = optional(string, "darkroom")
    # The server's user; RDS manages its password and changes it every `rotation_days`.
    username      = optional(string, "darkroom")
    rotation_days = optional(number, 7)
    # Days for which the database can be restored to any second.
    backup_retention_days = optional(number, 7)
    # Times of the daily snapshot and of minor versions, UTC.
    backup_window      = optional(string, "02:00-03:00")
    maintenance_window = optional(string, "sun:03:30-sun:04:30")
    # Key of the storage; null for RDS's own key.
    kms_key_arn = optional(string)
    # With RDS Proxy, functions authenticate with IAM tokens, connections are pooled and survive a failover.
    # Without it, functions read the server's secret.
    proxy_enabled = optional(bool, true)
    # The VPC's address block, /16 to /20.
    cidr_block = optional(string, "10.64.0.0/16")
    # Number of availability zones with subnets; RDS needs at least 2.
    availability_zones = optional(number, 2)
    # Ids of the zones (euc1-az2), in place of the first `availability_zones`: for a zone without a service
    # that the lab needs, or the same zones in several accounts. A change replaces the subnets.
    zone_ids = optional(list(string))
    # Number of zones with interface endpoints; null for all. One zone costs half, and its failure affects
    # all zones.
    endpoint_zones = optional(number)
  })
  default = {}

  validation {
    condition     = contains(["instance", "serverless"], var.settings.engine_mode)
    error_message = "engine_mode must be instance or serverless, got ${var.settings.engine_mode}."
  }
  validation {
    condition     = var.settings.serverless.minimum_acu <= var.settings.serverless.maximum_acu && var.settings.serverless.instances >= 1
    error_message = "serverless needs minimum_acu <= maximum_acu and at least 1 instance."
  }
  validation {
    condition     = var.settings.rotation_days >= 1 && var.settings.rotation_days <= 1000
    error_message = "rotation_days must be 1..1000, Secrets Manager's limit."
  }
  validation {
    condition     = var.settings.backup_retention_days >= 1 && var.settings.backup_retention_days <= 35
    error_message = "backup_retention_days must be 1..35, RDS's limit. 0 would disable backups."
  }
  validation {
    condition     = can(cidrhost(var.settings.cidr_block, 0)) && try(tonumber(split("/", var.settings.cidr_block)[1]) >= 16 && tonumber(split("/", var.settings.cidr_block)[1]) <= 20, false)
    error_message = "cidr_block must be an IPv4 block of /16 to /20, got ${var.settings.cidr_block}."
  }
  validation {
    condition     = contains([2, 3], var.settings.availability_zones)
    error_message = "availability_zones must be 2 or 3, got ${var.settings.availability_zones}."
  }
  validation {
    condition     = var.settings.zone_ids == null || try(contains([2, 3], length(distinct(var.settings.zone_ids))) && length(distinct(var.settings.zone_ids)) == length(var.settings.zone_ids), false)
    error_message = "zone_ids must name 2 or 3 different zones."
  }
  validation {
    condition     = var.settings.endpoint_zones == null || try(var.settings.endpoint_zones >= 1 && var.settings.endpoint_zones <= var.settings.availability_zones, false)
    error_message = "endpoint_zones must be 1..availability_zones."
  }
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

variable "interface_endpoints" {
  description = "AWS services with an interface endpoint, for functions in the VPC; S3 and DynamoDB have gateway endpoints. Each costs by zone and hour. Workers in the VPC need ecr.api, ecr.dkr, logs and sqs."
  type        = set(string)
  default     = ["email", "secretsmanager", "sns", "sqs", "states"]
}

variable "outbound_enabled" {
  description = "Whether a NAT gateway gives the subnets of `outbound_vpc` access to the internet, for functions that call a payment provider."
  type        = bool
  default     = false
}
