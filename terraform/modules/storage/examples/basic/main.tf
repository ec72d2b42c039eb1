# The module alone: private buckets and tables, and the notifications of buckets that exist.

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

module "storage" {
  source = "../.."

  prefix        = "example-storage"
  bucket_suffix = "0815"
  buckets = {
    originals  = { versioned = true }
    renditions = {}
  }
  tables = {
    photos = { hash_key = "owner", range_key = "item", ttl = "expires_at" }
  }
}

output "buckets" {
  description = "Names of the buckets."
  value       = module.storage.bucket_names
}
