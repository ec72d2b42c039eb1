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

variable "bucket_suffix" {
  description = "Suffix of bucket names, which must be globally unique on AWS: darkroom-originals-<suffix>."
  type        = string
  default     = ""
}

variable "buckets" {
  description = "Buckets by logical name. `upload_origins`: origins of web pages that may upload with a presigned form. `expire_days`: objects are deleted after so many days; null for never."
  type = map(object({
    versioned      = optional(bool, false)
    upload_origins = optional(list(string), [])
    expire_days    = optional(number)
  }))
}

variable "existing_buckets" {
  description = "Existing buckets in place of new ones, by logical name, with the filter of their events. `events_by`: `notification` adds a notification to the bucket, `eventbridge` a rule for the events that the bucket sends to EventBridge."
  type = map(object({
    name      = string
    prefix    = optional(string, "")
    suffix    = optional(string, "")
    events_by = optional(string, "notification")
  }))
  default = {}

  validation {
    condition     = alltrue([for bucket in values(var.existing_buckets) : contains(["notification", "eventbridge"], bucket.events_by)])
    error_message = "events_by must be notification or eventbridge."
  }
}

variable "notification_command" {
  description = "Python with boto3 that runs bucket_notification.py for existing buckets; null for the project's .venv."
  type        = string
  default     = null
}

variable "notifications" {
  description = "Queues that receive a bucket's events: by bucket, then by logical name."
  type        = map(map(object({ queue_arn = string, events = list(string) })))
  default     = {}
}

variable "replicas" {
  description = "ARNs of versioned buckets, in another region, that S3 replicates new objects and delete markers to, by logical name of the source, which must be versioned. Deletions of single versions are not replicated."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.replicas) : try(var.buckets[name].versioned, false) && !contains(keys(var.existing_buckets), name)])
    error_message = "replicas must name versioned buckets of the module, got ${join(", ", sort(keys(var.replicas)))}."
  }
}

variable "tables" {
  description = "Tables by logical name. All key attributes are strings; `ttl` is the attribute with the expiry."
  type = map(object({
    hash_key  = string
    range_key = optional(string)
    ttl       = optional(string)
    indexes   = optional(map(object({ hash_key = string, range_key = string })), {})
  }))
}

variable "noncurrent_days" {
  description = "Retention of overwritten or deleted objects in a versioned bucket, in days."
  type        = number
  default     = 30
}

variable "force_destroy" {
  description = "Whether destroy deletes buckets that contain objects. Keep it false in production."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether tables are protected from deletion."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Whether tables can be restored to any second of the last 35 days."
  type        = bool
  default     = true
}

variable "tls_only" {
  description = "Whether calls without TLS are refused."
  type        = bool
  default     = true
}
