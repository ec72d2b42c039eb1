# The module alone: a queue of a function and its dead letter queue, with the events that they receive.

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
  source = "../.."

  prefix            = "example"
  name              = "resize"
  timeout_seconds   = 30
  max_receive_count = 5
  schedule          = "rate(5 minutes)"
}

output "url" {
  description = "URL of the queue."
  value       = module.queue.url
}
