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
    condition     = length(var.api_paths) <= 24
    error_message = "api_paths may have at most 24 parts."
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
