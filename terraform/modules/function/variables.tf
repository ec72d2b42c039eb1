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
  description = "The function's name; it is called <prefix>-<name>."
  type        = string
}

variable "manifest" {
  description = "The function's function.yaml, decoded."
  type        = any
}

variable "image_uri" {
  description = "The image, by digest: what runs is what was tested, whatever a tag says later."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image_uri))
    error_message = "image_uri must name an image by digest (repository@sha256:...), got ${var.image_uri}."
  }
}

variable "architecture" {
  description = "Processor that the image is for: arm64 or x86_64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64, got ${var.architecture}."
  }
}

variable "environment" {
  description = "The environment, with every reference of the manifest resolved."
  type        = map(string)
  default     = {}
}

variable "policy_statements" {
  description = "What the function may do, beside writing its log."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
  }))
  default = []
}

variable "queue" {
  description = "The function's queue, which Lambda takes messages from; null for a function without one."
  type        = object({ arn = string })
  default     = null
}

variable "dead_letter" {
  description = "Queue for events of asynchronous calls that failed for good; null for none."
  type        = object({ arn = string })
  default     = null
}

variable "reserved_concurrency_enabled" {
  description = "Whether `maximum_concurrency` of a route is reserved. A new account has not enough to reserve from."
  type        = bool
  default     = true
}

variable "live_version" {
  description = "Version that the alias `live` stays at; null for the newest."
  type        = string
  default     = null
}

variable "canary_weight" {
  description = "Share of the calls of `live`, 0 to 1, that goes to the newest version while `live_version` holds the alias; none of them with provisioned concurrency."
  type        = number
  default     = 0

  validation {
    condition     = var.canary_weight >= 0 && var.canary_weight <= 1
    error_message = "canary_weight must be 0..1, got ${var.canary_weight}."
  }
}

variable "warm_up_enabled" {
  description = "Whether a new version must answer a warm-up before `live` moves to it."
  type        = bool
  default     = true
}

variable "warmer_schedule" {
  description = "How often one environment is kept warm, as rate(...) or cron(...); null for never."
  type        = string
  default     = null
}

variable "provisioned_concurrency" {
  description = <<-EOT
    Environments that are always initialised; null for none. With a `maximum` above the `minimum` as
    many as are used (target tracking at `utilization`); `schedules` change both by the clock.
  EOT
  type = object({
    minimum     = number
    maximum     = optional(number)
    utilization = optional(number, 0.7)
    schedules = optional(map(object({
      schedule = string # cron(...) or rate(...)
      timezone = optional(string, "UTC")
      minimum  = number
      maximum  = number
    })), {})
  })
  default = null
}

variable "vpc" {
  description = "Where the function is in a VPC; null for outside of any."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "log_retention_days" {
  description = "How long the function's log is kept, in days."
  type        = number
  default     = 30
}

variable "tracing_enabled" {
  description = "Whether every call is sampled for X-Ray."
  type        = bool
  default     = true
}
