variable "region" {
  description = "AWS region of the labs and the registry."
  type        = string
}

variable "target" {
  description = "Where it is applied. AWS_ENDPOINT_URL names an emulator."
  type        = string
  default     = "aws"

  validation {
    condition     = contains(["aws", "ministack"], var.target)
    error_message = "target must be aws or ministack, got ${var.target}."
  }
}

variable "repository" {
  description = "GitHub repository that may assume the roles: owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "repository must be owner/name, got ${var.repository}."
  }
}

variable "branch" {
  description = "Branch that is released: its runs may push images and look for drift."
  type        = string
  default     = "main"
}

variable "environments" {
  description = "GitHub environment to the `prefix` of its lab in this account. An account of its own for production has only production here."
  type        = map(string)

  validation {
    condition     = length(var.environments) > 0 && alltrue([for prefix in values(var.environments) : can(regex("^[a-z][a-z0-9-]+$", prefix))])
    error_message = "environments must name at least one environment and the prefix of its lab."
  }
}

variable "state_bucket" {
  description = "Bucket of Terraform's state."
  type        = string
}

variable "registry_prefix" {
  description = "Prefix of the repositories' names, as in terraform/registry."
  type        = string
  default     = "darkroom"
}

variable "oidc_provider_arn" {
  description = "The account's identity provider of GitHub Actions, if it has one; an account has at most one. null creates it."
  type        = string
  default     = null
}

variable "budget" {
  description = "US dollars a month, and who gets an e-mail at 80 % spent and at 100 % forecast. Needs `project` as an activated cost allocation tag. null: no budget."
  type        = object({ limit = number, emails = list(string) })
  default     = null
}

variable "tags" {
  description = "Tags of all resources, in addition to project and part: `owner`, for example."
  type        = map(string)
  default     = {}
}
