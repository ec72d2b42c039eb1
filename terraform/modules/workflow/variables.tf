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
  description = "The workflow's name; the state machine is <prefix>-<name>-workflow."
  type        = string
}

variable "definition_file" {
  description = "The state machine in Amazon States Language, with a variable for each queue URL: $${queue_x_y} for the function x-y."
  type        = string
}

variable "queues" {
  description = "The queues that the state machine sends to, by function name."
  type        = map(object({ url = string, arn = string }))
}

variable "log_retention_days" {
  description = "Retention of the log of failed executions, in days."
  type        = number
  default     = 30
}

variable "logging_enabled" {
  description = "Whether failed executions are logged to CloudWatch."
  type        = bool
  default     = true
}

variable "tracing_enabled" {
  description = "Whether executions are traced with X-Ray."
  type        = bool
  default     = true
}

variable "alarm_topic_arn" {
  description = "Topic that the alarms notify; null for none."
  type        = string
  default     = null
}

variable "alarms_enabled" {
  description = "Whether alarms are created. Not derived from `alarm_topic_arn`, which may be unknown at plan time."
  type        = bool
  default     = false
}
