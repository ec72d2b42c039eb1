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

variable "functions" {
  description = "Functions on Lambda: the name there, the alias that is called, and the timeout."
  type = map(object({
    name            = string
    alias_name      = optional(string, "live")
    timeout_seconds = number
  }))
  default = {}
}

variable "queues" {
  description = "Queues by function, with their dead letter queues, by name."
  type        = map(object({ name = string, dead_letter_name = string }))
  default     = {}
}

variable "log_groups" {
  description = "Log groups by function, wherever it runs."
  type        = map(string)
  default     = {}
}

variable "api_id" {
  description = "The HTTP API; null for none. `http_functions` are behind it."
  type        = string
  default     = null
}

variable "http_functions" {
  description = "Functions whose failures the API's alarms show: a deployment of one watches them."
  type        = set(string)
  default     = []
}

variable "workflow_arns" {
  description = "State machines by logical name, for the dashboard; their alarms are the module `workflow`'s."
  type        = map(string)
  default     = {}
}

variable "database" {
  description = "Servers of Postgres, and whether they are Aurora Serverless; null for none of ours."
  type        = object({ instance_identifiers = list(string), serverless = bool })
  default     = null
}

variable "operator_email" {
  description = "Who is told; nobody without it."
  type        = string
  default     = null
}

variable "alarms_enabled" {
  description = "Whether alarms and their topic are made."
  type        = bool
  default     = true
}

variable "dashboard_enabled" {
  description = "Whether the dashboard is made."
  type        = bool
  default     = true
}

variable "thresholds" {
  description = "From where on it is worth an e-mail."
  type = object({
    error_percent        = optional(number, 5)
    timeout_percent      = optional(number, 80)
    age_seconds          = optional(number, 1800)
    api_error_percent    = optional(number, 1)
    api_latency_ms       = optional(number, 3000)
    database_connections = optional(number, 60)
    database_cpu_percent = optional(number, 80)
    database_memory_mib  = optional(number, 64)
    database_storage_gib = optional(number, 4)
  })
  default = {}

  validation {
    condition     = alltrue([for value in values(var.thresholds) : value > 0])
    error_message = "thresholds must be greater than 0."
  }
}
