# The module alone: The web page: a private bucket behind CloudFront, and the API on the same origin.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

module "site" {
  source = "../.."

  prefix          = "example"
  folder          = "${path.module}/page"
  api_url         = "https://api.example.com"
  api_paths       = ["photos"]
  storage_origins = ["https://example-renditions.s3.eu-central-1.amazonaws.com"]
}

output "url" {
  description = "Address of the page."
  value       = module.site.url
}
