# The module alone: a table whose daily backups are copied to another region.

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

resource "aws_dynamodb_table" "albums" {
  name         = "example-albums"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "album"

  attribute {
    name = "album"
    type = "S"
  }
}

module "backup_region" {
  source    = "../../../backup-region"
  providers = { aws = aws.backup }

  prefix = "example-plan"
}

module "backup_plan" {
  source = "../.."

  prefix                = "example-plan"
  table_arns            = [aws_dynamodb_table.albums.arn]
  destination_vault_arn = module.backup_region.vault_arn
  kms_key_arns          = [module.backup_region.kms_key_arn]
  retention_days        = 14
}

output "vaults" {
  description = "The vault of each region."
  value       = [module.backup_plan.vault_name, module.backup_region.vault_name]
}
