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
  description = "The API's name after the prefix."
  type        = string
  default     = "api"
}

variable "routes" {
  description = <<-EOT
    The routes of each function: `routes` as in its manifest (["GET /images/{id}"]), `authorization` (none or
    session), and the alias that answers.
  EOT
  type = map(object({
    routes           = list(string)
    authorization    = string
    alias_invoke_arn = string
    function_name    = string
    alias_name       = optional(string, "live")
  }))

  validation {
    condition     = alltrue([for r in values(var.routes) : contains(["none", "session"], r.authorization)])
    error_message = "authorization of a route must be none or session."
  }

  validation {
    condition     = alltrue([for route in flatten(values(var.routes)[*].routes) : can(regex("^(GET|POST|PUT|PATCH|DELETE|OPTIONS|ANY) /[A-Za-z0-9/{}_.+-]*$", route))])
    error_message = "A route must be a method and a path such as GET /images/{id}."
  }

  validation {
    condition     = length(distinct(flatten(values(var.routes)[*].routes))) == length(flatten(values(var.routes)[*].routes))
    error_message = "Two functions have one route."
  }
}

variable "authorizer" {
  description = "The function that authorizes requests, and how long its answer for a token is cached; null for an API without sessions."
  type = object({
    alias_invoke_arn = string
    function_name    = string
    alias_name       = optional(string, "live")
    cache_seconds    = number
  })
  default = null

  validation {
    condition     = var.authorizer == null || try(var.authorizer.cache_seconds >= 0 && var.authorizer.cache_seconds <= 3600, false)
    error_message = "cache_seconds must be 0..3600, API Gateway's limit."
  }
}

variable "throttling" {
  description = "Limit of requests a second over all callers, and of the burst; the API answers 429 beyond it."
  type        = object({ requests_per_second = number, burst = number })
  default     = { requests_per_second = 200, burst = 400 }

  validation {
    condition     = var.throttling.requests_per_second > 0 && var.throttling.burst > 0
    error_message = "throttling must be greater than 0."
  }
}

variable "detailed_metrics_enabled" {
  description = "Whether CloudWatch counts by route, which costs for each route."
  type        = bool
  default     = false
}

variable "domain" {
  description = "A custom domain: its certificate (ACM, in this region) and, with Route 53, its zone. Without a zone, create an alias or CNAME to the output `domain_target` yourself."
  type = object({
    name            = string
    certificate_arn = string
    zone_id         = optional(string)
  })
  default = null
}

variable "log_retention_days" {
  description = "Retention of the access log, in days."
  type        = number
  default     = 30
}
