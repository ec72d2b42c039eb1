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
  description = "The function's name; the service is <prefix>-<name>."
  type        = string
}

variable "manifest" {
  description = "The function's function.yaml, decoded."
  type        = any
}

variable "image_uri" {
  description = "The image, by digest: the same that Lambda would run."
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
  description = "The environment, with every reference of the manifest resolved. What the worker itself needs is added."
  type        = map(string)
  default     = {}
}

variable "policy_statements" {
  description = "What the function may do, its queue's messages among it: the same as on Lambda."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
  }))

  validation {
    condition     = length(var.policy_statements) > 0
    error_message = "A worker needs to be allowed to take its messages at least."
  }
}

variable "queue" {
  description = "The function's queue."
  type        = object({ name = string, url = string, dead_letter_url = string })
}

variable "cluster_arn" {
  description = "The ECS cluster, with the capacity providers FARGATE and FARGATE_SPOT."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets that reach SQS, ECR, CloudWatch Logs and what the function uses."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the tasks; nothing needs to get in."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "For public subnets, where tasks reach AWS without endpoints or NAT."
  type        = bool
  default     = false
}

variable "spot_enabled" {
  description = "Whether tasks are of Fargate Spot, at some 70 % less. It may take them away with two minutes' notice, which the worker drains in."
  type        = bool
  default     = false
}

variable "concurrency" {
  description = "Environments a task; each works on one batch at a time."
  type        = number
  default     = 1

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 256
    error_message = "concurrency must be 1..256, the worker's limit, got ${var.concurrency}."
  }
}

variable "minimum_tasks" {
  description = "Tasks without any backlog."
  type        = number
  default     = 0
}

variable "maximum_tasks" {
  description = "Tasks at most."
  type        = number
  default     = 10

  validation {
    condition     = var.maximum_tasks >= 1 && var.maximum_tasks >= var.minimum_tasks
    error_message = "maximum_tasks must be at least 1 and minimum_tasks, got ${var.maximum_tasks}."
  }
}

variable "backlog_per_task" {
  description = "Messages, waiting or worked on, that one task is for."
  type        = number
  default     = 50

  validation {
    condition     = var.backlog_per_task >= 1
    error_message = "backlog_per_task must be 1 or more, got ${var.backlog_per_task}."
  }
}

variable "idle_minutes" {
  description = "Minutes without any message until the tasks go."
  type        = number
  default     = 10
}

variable "autoscaling_enabled" {
  description = "Whether tasks come and go with the backlog; otherwise there are `minimum_tasks`."
  type        = bool
  default     = true
}

variable "drain_seconds" {
  description = "Time for running invocations after SIGTERM; null for as long as ECS waits."
  type        = number
  default     = null
}

variable "wait_for_steady_state" {
  description = "Whether an apply waits until the new tasks run, and fails when ECS took them back."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "How long the log is kept, in days."
  type        = number
  default     = 30
}
