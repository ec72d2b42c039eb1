# The module alone: a state machine whose tasks are messages with a task token to the queues of functions.

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

  prefix            = "example-workflow"
  name              = "resize"
  timeout_seconds   = 30
  max_receive_count = 5
}

module "workflow" {
  source = "../.."

  prefix          = "example-workflow"
  name            = "album"
  definition_file = "${path.module}/album.asl.json"
  queues          = { resize = { url = module.queue.url, arn = module.queue.arn } }
}

output "arn" {
  description = "ARN of the state machine."
  value       = module.workflow.arn
}
