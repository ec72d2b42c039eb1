variable "region" {
  description = "Where the repositories are: the region of the functions, since Lambda pulls from its own."
  type        = string
}

variable "target" {
  description = "What is applied to. An emulator is found by AWS_ENDPOINT_URL."
  type        = string
  default     = "aws"

  validation {
    condition     = contains(["aws", "ministack"], var.target)
    error_message = "target must be aws or ministack (LocalStack has no ECR), got ${var.target}."
  }
}

variable "repository_prefix" {
  description = "What repositories are called before the function's name; `make push` pushes to darkroom/<function>."
  type        = string
  default     = "darkroom"
}

variable "function_prefix" {
  description = "What the functions that may pull are called before their name, in every environment: darkroom-process-image, darkroom-staging-process-image."
  type        = string
  default     = "darkroom"
}

variable "images_kept" {
  description = "Images kept of each function, the newest. A rollback needs those before; a function's older versions end with their image."
  type        = number
  default     = 50

  validation {
    condition     = var.images_kept >= 10 && floor(var.images_kept) == var.images_kept
    error_message = "images_kept must be a whole number, 10 or more, so that there is something to roll back to."
  }
}

variable "force_delete" {
  description = "Whether destroy takes repositories along that hold images."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything, beside project and part."
  type        = map(string)
  default     = {}
}
