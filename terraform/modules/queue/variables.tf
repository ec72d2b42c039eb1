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
  description = "The function's name; the queue is <prefix>-<name>, its dead letter queue <prefix>-<name>-dead-letters."
  type        = string
}

variable "timeout_seconds" {
  description = "The function's timeout. The queue's visibility timeout is six of them, as Lambda wants it."
  type        = number

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "timeout_seconds must be 1..900, Lambda's limit, got ${var.timeout_seconds}."
  }
}

variable "max_receive_count" {
  description = "Receives before a message becomes a dead letter."
  type        = number

  validation {
    condition     = var.max_receive_count >= 1 && var.max_receive_count <= 1000
    error_message = "max_receive_count must be 1..1000, SQS's limit, got ${var.max_receive_count}."
  }
}

variable "bucket_arns" {
  description = "Buckets whose events come into the queue, by a name for each."
  type        = map(string)
  default     = {}
}

variable "topic_arns" {
  description = "Topics whose messages come into the queue, by a name for each."
  type        = map(string)
  default     = {}
}

variable "sender_role_arns" {
  description = "Roles of workflows that send to the queue, by a name for each."
  type        = map(string)
  default     = {}
}

variable "filters" {
  description = "Filter policy of each topic's subscription, by topic name: attribute to the values that are let through. A topic without one sends all."
  type        = map(map(list(string)))
  default     = {}
}

variable "schedule" {
  description = "When EventBridge sends a message by itself: `rate(...)`, or `cron(...)` in UTC; null for never."
  type        = string
  default     = null

  validation {
    condition     = var.schedule == null || can(regex("^(rate|cron)\\(.+\\)$", var.schedule))
    error_message = "schedule must be such as rate(1 minute) or cron(0 12 * * ? *), got ${coalesce(var.schedule, "null")}."
  }
}

variable "tls_only" {
  description = "Refuse calls without TLS."
  type        = bool
  default     = true
}
