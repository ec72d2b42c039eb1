variable "region" {
  description = "AWS region of the repositories and the functions, since Lambda pulls from its own region."
  type        = string
}

variable "target" {
  description = "Where the registry is applied. AWS_ENDPOINT_URL names an emulator."
  type        = string
  default     = "aws"

  validation {
    condition     = contains(["aws", "ministack"], var.target)
    error_message = "target must be aws or ministack (LocalStack has no ECR), got ${var.target}."
  }
}

variable "repository_prefix" {
  description = "Prefix of repository names; `make push` pushes to darkroom/<function>."
  type        = string
  default     = "darkroom"
}

variable "function_prefix" {
  description = "Common prefix of all functions that may pull, in every environment: darkroom-process-image, darkroom-staging-process-image."
  type        = string
  default     = "darkroom"
}

variable "reader_accounts" {
  description = "Other accounts whose functions run these images, by account id. Their releases tag live images here."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for account in var.reader_accounts : can(regex("^[0-9]{12}$", account))])
    error_message = "reader_accounts must be ids of 12 digits."
  }
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
  description = "Whether destroy deletes repositories that contain images."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of all resources, in addition to project and part."
  type        = map(string)
  default     = {}
}
