terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # Bucket: -backend-config=../environments/pipeline.s3.tfbackend. S3 locks the state with a file next to
  # it.
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}

provider "aws" {
  region                      = var.region
  skip_credentials_validation = local.emulated
  skip_metadata_api_check     = local.emulated
  skip_region_validation      = local.emulated

  default_tags {
    tags = merge({ project = "darkroom", part = "pipeline" }, var.tags)
  }
}
