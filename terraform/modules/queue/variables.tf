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
  description = "The function's name; the queue is <prefix>-<name>, its dead letter queue <prefix>-<name>-dead-letters."
  type        = string
}

variable "timeout_seconds" {
  description = "The function's timeout. The visibility timeout is six times as long, as Lambda recommends."
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
  description = "ARNs of buckets that send events to the queue, by logical name."
  type        = map(string)
  default     = {}
}

variable "event_rules" {
  description = "Names of EventBridge rules of this account that send to the queue."
  type        = set(string)
  default     = []
}

variable "topic_arns" {
  description = "ARNs of topics that the queue subscribes to, by logical name."
  type        = map(string)
  default     = {}
}

variable "sender_role_arns" {
  description = "ARNs of workflow roles that send to the queue, by logical name."
  type        = map(string)
  default     = {}
}

variable "filters" {
  description = "Filter policy of each subscription, by topic: message attribute to accepted values. Without one, all messages arrive."
  type        = map(map(list(string)))
  default     = {}
}

variable "schedule" {
  description = "Schedule on which EventBridge sends a message: `rate(...)`, or `cron(...)` in UTC; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.schedule == null || can(regex("^(rate|cron)\\(.+\\)$", var.schedule))
    error_message = "schedule must be like rate(1 minute) or cron(0 12 * * ? *), got ${coalesce(var.schedule, "null")}."
  }
}

variable "tls_only" {
  description = "Whether calls without TLS are refused."
  type        = bool
  default     = true
}
