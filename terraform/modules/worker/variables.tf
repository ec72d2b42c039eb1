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
  description = "The function's name; the service is <prefix>-<name>."
  type        = string
}

variable "manifest" {
  description = "The function's function.yaml, decoded."
  type        = any
}

variable "image_uri" {
  description = "The function image, by digest; the same as on Lambda."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image_uri))
    error_message = "image_uri must name an image by digest (repository@sha256:...), got ${var.image_uri}."
  }
}

variable "architecture" {
  description = "Processor architecture of the image: arm64 or x86_64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64, got ${var.architecture}."
  }
}

variable "environment" {
  description = "Environment variables, with all references of the manifest resolved. The module adds the worker's own."
  type        = map(string)
  default     = {}
}

variable "policy_statements" {
  description = "Permissions of the function, including its queue: the same as on Lambda."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
  }))

  validation {
    condition     = length(var.policy_statements) > 0
    error_message = "policy_statements must at least allow to receive the queue's messages."
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
  description = "Subnets with access to SQS, ECR, CloudWatch Logs and the services that the function uses."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the tasks, which need no inbound rule."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "Whether tasks get a public address, which in public subnets replaces endpoints and NAT."
  type        = bool
  default     = false
}

variable "spot_enabled" {
  description = "Whether tasks run on Fargate Spot, about 70 % cheaper. Spot may stop them with two minutes' notice, in which the worker drains."
  type        = bool
  default     = false
}

variable "concurrency" {
  description = "Execution environments of a task; each handles one batch at a time."
  type        = number
  default     = 1

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 256
    error_message = "concurrency must be 1..256, the worker's limit, got ${var.concurrency}."
  }
}

variable "minimum_tasks" {
  description = "Number of tasks without a backlog."
  type        = number
  default     = 0
}

variable "maximum_tasks" {
  description = "Maximum number of tasks."
  type        = number
  default     = 10

  validation {
    condition     = var.maximum_tasks >= 1 && var.maximum_tasks >= var.minimum_tasks
    error_message = "maximum_tasks must be at least 1 and minimum_tasks, got ${var.maximum_tasks}."
  }
}

variable "backlog_per_task" {
  description = "Messages, waiting or in flight, for each task."
  type        = number
  default     = 50

  validation {
    condition     = var.backlog_per_task >= 1
    error_message = "backlog_per_task must be 1 or more, got ${var.backlog_per_task}."
  }
}

variable "idle_minutes" {
  description = "Minutes without a message until tasks are scaled in."
  type        = number
  default     = 10
}

variable "autoscaling_enabled" {
  description = "Whether the number of tasks follows the backlog; otherwise it is `minimum_tasks`."
  type        = bool
  default     = true
}

variable "drain_seconds" {
  description = "Seconds for running invocations after SIGTERM; null for ECS's stop timeout less 5 s."
  type        = number
  default     = null
}

variable "wait_for_steady_state" {
  description = "Whether an apply waits until the new tasks run, and fails when ECS rolled them back."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Retention of the log, in days."
  type        = number
  default     = 30
}
