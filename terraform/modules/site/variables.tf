variable "prefix" {
  description = "The prefix of all resource names."
  type        = string
  default     = "darkroom"
}

variable "bucket_suffix" {
  description = "A suffix that makes the bucket's name unique in the partition."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags in addition to the provider's default tags."
  type        = map(string)
  default     = {}
}

variable "folder" {
  description = "The built page, services/web/dist."
  type        = string
}

variable "api_url" {
  description = "URL of the API, which gets the requests for `api_paths`."
  type        = string

  validation {
    condition     = startswith(var.api_url, "https://")
    error_message = "api_url must begin with https://."
  }
}

variable "api_paths" {
  description = "First parts of the API's paths: [\"images\", \"users\"]. CloudFront has 25 behaviors by default."
  type        = set(string)

  validation {
    condition     = length(var.api_paths) <= 23
    error_message = "api_paths may have at most 23 parts."
  }
  validation {
    condition     = alltrue([for part in var.api_paths : can(regex("^[^/*]+$", part))])
    error_message = "api_paths must be first parts of paths, without / and *: images, not /images/*."
  }
}

variable "storage_origins" {
  description = "Origins that the page uploads photos to and loads them from."
  type        = list(string)
}

variable "domain" {
  description = "A custom domain: its certificate (ACM, in us-east-1, where CloudFront looks for it) and, with Route 53, its zone."
  type = object({
    name            = string
    certificate_arn = string
    zone_id         = optional(string)
  })
  default = null
}

variable "payment_methods" {
  description = "Payment methods that the page offers: the provider's ids, and names for people."
  type        = list(object({ id = string, name = string }))
  default     = []
}

variable "stripe_publishable_key" {
  description = "Stripe's publishable key. With it the page has Stripe's form on /pay, which alone loads Stripe's script; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.stripe_publishable_key == null ? true : startswith(var.stripe_publishable_key, "pk_")
    error_message = "stripe_publishable_key must begin with pk_; a secret key on a page would be public."
  }
}

variable "price_class" {
  description = "Edge locations that serve the page: PriceClass_100, PriceClass_200 or PriceClass_All."
  type        = string
  default     = "PriceClass_100"
}

variable "force_destroy" {
  description = "Whether the bucket is destroyed with its files."
  type        = bool
  default     = true
}
