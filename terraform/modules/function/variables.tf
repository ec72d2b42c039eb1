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

variable "queue" {
  description = "The function's queue, which Lambda polls; null for a function without a queue."
  type        = object({ arn = string })
  default     = null
}

variable "maximum_concurrency" {
  description = "Calls at a time for the queue, in place of the manifest's `maximum_concurrency`; null for the manifest's."
  type        = number
  default     = null

  validation {
    condition     = var.maximum_concurrency == null ? true : var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency must be 2..1000, Lambda's limits, got ${coalesce(var.maximum_concurrency, 0)}."
  }
}

variable "event_source_metrics_enabled" {
  description = "Whether Lambda counts the queue's polled, invoked, failed and deleted messages in CloudWatch (`EventCount`)."
  type        = bool
  default     = true
}

variable "dead_letter" {
  description = "Queue for events of asynchronous calls after their last retry; null for none."
  type        = object({ arn = string })
  default     = null
}

variable "reserved_concurrency_enabled" {
  description = "Whether the `maximum_concurrency` of a route is reserved. The quota of a new account is too low for it."
  type        = bool
  default     = true
}

variable "live_version" {
  description = "Version that the alias `live` points to; null for the newest."
  type        = string
  default     = null
}

variable "canary_weight" {
  description = "Share of the calls of `live`, 0 to 1, for the newest version while `live_version` holds the alias. Has no effect with provisioned concurrency."
  type        = number
  default     = 0

  validation {
    condition     = var.canary_weight >= 0 && var.canary_weight <= 1
    error_message = "canary_weight must be 0..1, got ${var.canary_weight}."
  }
}

variable "warm_up_enabled" {
  description = "Whether a new version must answer a warm-up call before `live` moves to it."
  type        = bool
  default     = true
}

variable "warmer_schedule" {
  description = "Schedule of a call that keeps one environment initialised, as rate(...) or cron(...); null for none."
  type        = string
  default     = null
}

variable "provisioned_concurrency" {
  description = <<-EOT
    Environments that are always initialised, by default none. A `maximum` above the `minimum` scales
    them by use (target tracking at `utilization`); `schedules` change both limits by time.
  EOT
  type = object({
    minimum     = optional(number, 0)
    maximum     = optional(number)
    utilization = optional(number, 0.7)
    schedules = optional(map(object({
      schedule = string # cron(...) or rate(...)
      timezone = optional(string, "UTC")
      minimum  = number
      maximum  = number
    })), {})
  })
  default = {}
}

variable "vpc" {
  description = "Subnets and security groups of the function; null outside of a VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "tracing_enabled" {
  description = "Whether X-Ray traces every call."
  type        = bool
  default     = true
}
