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

variable "bucket_suffix" {
  description = "What bucket names end with, since on AWS they are unique among everybody's: darkroom-originals-<suffix>."
  type        = string
  default     = ""
}

variable "buckets" {
  description = "Buckets by logical name. `upload_origins`: the web pages that may upload by a signed form."
  type = map(object({
    versioned      = optional(bool, false)
    upload_origins = optional(list(string), [])
  }))
}

variable "notifications" {
  description = "Queues that are told of a bucket's changes: by bucket, then by a name for each."
  type        = map(map(object({ queue_arn = string, events = list(string) })))
  default     = {}
}

variable "tables" {
  description = "Tables by logical name; every key attribute is a text, `ttl` the attribute of the expiry."
  type = map(object({
    hash_key  = string
    range_key = optional(string)
    ttl       = optional(string)
    indexes   = optional(map(object({ hash_key = string, range_key = string })), {})
  }))
}

variable "noncurrent_days" {
  description = "How long a versioned bucket keeps what was overwritten or deleted, in days."
  type        = number
  default     = 30
}

variable "force_destroy" {
  description = "Whether destroy takes buckets along that hold objects. Never in production."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether tables refuse to be deleted."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Whether tables can be restored to any second of the last 35 days."
  type        = bool
  default     = true
}

variable "tls_only" {
  description = "Refuse calls without TLS."
  type        = bool
  default     = true
}
