# The module alone: one function: its image as a Lambda function with the alias `live`, its role, its log and its queue.

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

module "queue" {
  source = "../../../queue"

  prefix            = "example-function"
  name              = "resize"
  timeout_seconds   = 30
  max_receive_count = 5
}

module "function" {
  source = "../.."

  prefix = "example-function"
  queue  = { arn = module.queue.arn }
  definition = {
    name      = "resize"
    image_uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/resize@sha256:${sha256("resize")}"
    manifest = {
      description     = "Resizes photos."
      memory_mib      = 512
      timeout_seconds = 30
      trigger         = { queue = { batch_size = 1, batch_window_seconds = 0, maximum_concurrency = 5, max_receive_count = 5 } }
    }
  }
}

output "name" {
  description = "Name of the Lambda function."
  value       = module.function.name
}
