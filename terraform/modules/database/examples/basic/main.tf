# The module alone: Postgres: one instance or Aurora Serverless v2 in a VPC of its own, optionally behind RDS Proxy.

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

module "database" {
  source = "../.."

  prefix = "example"
}

output "url" {
  description = "Connection URL without a password."
  value       = module.database.url
}
