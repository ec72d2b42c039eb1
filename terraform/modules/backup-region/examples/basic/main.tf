# The module alone: a bucket whose objects are copied to another region, with the key and the vault there.

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

provider "aws" {
  alias  = "backup"
  region = "eu-west-1"
}

module "backup_region" {
  source = "../.."

  providers = { aws = aws.backup }

  prefix = "example"
}

module "copies" {
  source    = "../../../storage"
  providers = { aws = aws.backup }

  prefix        = "example-copies"
  bucket_suffix = "0815"
  buckets       = { originals = { versioned = true } }
  tables        = {}
}

module "storage" {
  source = "../../../storage"

  prefix        = "example"
  bucket_suffix = "0815"
  buckets       = { originals = { versioned = true } }
  tables        = {}
  replicas      = { originals = module.copies.bucket_arns["originals"] }
}

output "vault" {
  description = "Vault that receives copies."
  value       = module.backup_region.vault_name
}

output "buckets" {
  description = "The bucket and its copy."
  value       = { original = module.storage.bucket_names["originals"], copy = module.copies.bucket_names["originals"] }
}
