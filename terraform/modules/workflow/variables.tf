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
  description = "The workflow's name; the state machine is <prefix>-<name>-workflow."
  type        = string
}

variable "definition_file" {
  description = "The state machine in Amazon States Language, with a variable for each queue URL: $${queue_x_y} for the function x-y's."
  type        = string
}

variable "queues" {
  description = "The queues that it sends to, by function name."
  type        = map(object({ url = string, arn = string }))
}

variable "log_retention_days" {
  description = "How long the log of failed executions is kept, in days."
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
  description = "Topic that is told when executions fail, time out or are throttled; no alarms without it."
  type        = string
  default     = null
}

variable "alarms_enabled" {
  description = "Whether the alarms are made; `alarm_topic_arn` may be known only later."
  type        = bool
  default     = false
}
