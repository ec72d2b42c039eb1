terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # Bucket and key: -backend-config=../environments/<environment>.s3.tfbackend. S3 locks the state with a
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}

provider "aws" {
  region                      = var.region
  s3_use_path_style           = local.emulated
  skip_credentials_validation = local.emulated
  skip_metadata_api_check     = local.emulated
  skip_region_validation      = local.emulated

  default_tags {
    tags = merge({ project = "darkroom", environment = var.environment }, var.tags)
  }
}

# Of copies of backups only (backups.tf).
provider "aws" {
  alias                       = "backup"
  region                      = coalesce(var.backup_region, var.region)
  s3_use_path_style           = local.emulated
  skip_credentials_validation = local.emulated
  skip_metadata_api_check     = local.emulated
  skip_region_validation      = local.emulated

  default_tags {
    tags = merge({ project = "darkroom", environment = var.environment }, var.tags)
  }
}
