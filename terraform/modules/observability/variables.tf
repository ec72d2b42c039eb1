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

variable "functions" {
  description = "Functions on Lambda: the name there, the alias that callers use, the newest version, the timeout, and the time that its initialization may take."
  type = map(object({
    name            = string
    alias_name      = optional(string, "live")
    version         = string
    timeout_seconds = number
    init_ms         = number
  }))
  default = {}
}

variable "queues" {
  description = "Names of the queue and the dead letter queue of each function. `event_source` is Lambda's mapping with the metrics `EventCount`; null for a worker, and for a mapping without them."
  type = map(object({
    name             = string
    dead_letter_name = string
    event_source     = optional(object({ uuid = string }))
  }))
  default = {}
}

variable "log_groups" {
  description = "Log group of each function, on Lambda or as a worker."
  type        = map(string)
  default     = {}
}

variable "api_id" {
  description = "Id of the HTTP API in front of `http_functions`; null without an API."
  type        = string
  default     = null
}

variable "http_functions" {
  description = "Functions behind the API: a release of one watches the API's alarms."
  type        = set(string)
  default     = []
}

variable "sign_in_function" {
  description = "Function of `log_groups` that signs users in, for the alarm on refused sign-ins; null for none."
  type        = string
  default     = null
}

variable "photo_function" {
  description = "Function of `queues` that develops photos, for the alarm on their latency; null for none."
  type        = string
  default     = null
}

variable "workflow_arns" {
  description = "State machines by logical name, for the dashboard. The module `workflow` has their alarms."
  type        = map(string)
  default     = {}
}

variable "database" {
  description = "Identifiers of the Postgres servers, and whether they are Aurora Serverless; null without a database of this lab."
  type        = object({ instance_identifiers = list(string), serverless = bool })
  default     = null
}

variable "operator_email" {
  description = "E-mail address that alarms notify; null for none."
  type        = string
  default     = null
}

variable "alarms_enabled" {
  description = "Whether alarms and their topic are created."
  type        = bool
  default     = true
}

variable "omitted_alarms" {
  description = "Kinds of alarms to leave out, named as their runbooks in docs/how-to/runbooks: CloudWatch bills each metric of an alarm. `dead-letters`, `age` and `errors` are the least to run a lab with."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.omitted_alarms, ["age", "api-5xx", "api-latency", "canary", "cold-starts", "database", "dead-letters", "duration", "errors", "failed-events", "failed-sign-ins", "init", "logged-errors", "photo-latency", "throttles"])) == 0
    error_message = "omitted_alarms must be of age, api-5xx, api-latency, canary, cold-starts, database, dead-letters, duration, errors, failed-events, failed-sign-ins, init, logged-errors, photo-latency, throttles; got ${join(", ", sort(var.omitted_alarms))}."
  }
}

variable "dashboard_enabled" {
  description = "Whether the dashboard is created."
  type        = bool
  default     = true
}

variable "thresholds" {
  description = "Values from which alarms notify."
  type = object({
    error_percent        = optional(number, 5)
    timeout_percent      = optional(number, 80)
    age_seconds          = optional(number, 1800)
    init_percent         = optional(number, 200)
    cold_start_percent   = optional(number, 20)
    cold_start_calls     = optional(number, 100)
    failed_events        = optional(number, 10)
    photo_seconds        = optional(number, 60)
    api_error_percent    = optional(number, 1)
    api_latency_ms       = optional(number, 3000)
    failed_sign_ins      = optional(number, 100)
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
