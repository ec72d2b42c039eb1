# What a function is, alike on Lambda and as a worker: the module `worker` links to this file.

variable "definition" {
  description = "The function: its name without the prefix, its function.yaml, its image by digest (a tag may move) and that image's processor architecture, environment variables with all references of the manifest resolved, permissions in addition to its log, and how long its log is retained."
  type = object({
    name         = string
    manifest     = any
    image_uri    = string
    architecture = optional(string, "x86_64") # or arm64
    environment  = optional(map(string), {})
    policy_statements = optional(list(object({
      sid       = string
      actions   = list(string)
      resources = list(string)
    })), [])
    log_retention_days = optional(number, 30)
  })

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.definition.image_uri))
    error_message = "definition.image_uri must name an image by digest (repository@sha256:...), got ${var.definition.image_uri}."
  }
  validation {
    condition     = contains(["arm64", "x86_64"], var.definition.architecture)
    error_message = "definition.architecture must be arm64 or x86_64, got ${var.definition.architecture}."
  }
}
