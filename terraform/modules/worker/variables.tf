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

variable "scaling" {
  description = "Number, size and price of the tasks."
  type = object({
    # Fargate Spot is about 70 % cheaper. It may stop tasks with two minutes' notice, in which the worker drains.
    spot_enabled = optional(bool, false)
    # Execution environments of a task; each handles one batch at a time.
    concurrency = optional(number, 1)
    # Tasks without a backlog, and at most.
    minimum_tasks = optional(number, 0)
    maximum_tasks = optional(number, 10)
    # Messages, waiting or in flight, for each task.
    backlog_per_task = optional(number, 50)
    # Minutes without a message until tasks are removed.
    idle_minutes = optional(number, 10)
    # Whether an apply waits until the new tasks run, and fails when ECS rolls them back.
    wait_for_steady_state = optional(bool, true)
  })
  default = {}

  validation {
    condition     = var.scaling.concurrency >= 1 && var.scaling.concurrency <= 256
    error_message = "scaling.concurrency must be 1..256, the worker's limit, got ${var.scaling.concurrency}."
  }
  validation {
    condition     = var.scaling.maximum_tasks >= 1 && var.scaling.maximum_tasks >= var.scaling.minimum_tasks
    error_message = "scaling.maximum_tasks must be at least 1 and minimum_tasks, got ${var.scaling.maximum_tasks}."
  }
  validation {
    condition     = var.scaling.backlog_per_task >= 1
    error_message = "scaling.backlog_per_task must be 1 or more, got ${var.scaling.backlog_per_task}."
  }
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
