# The module alone: one function as an ECS service on Fargate that polls the queue itself and scales from zero.

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

  prefix            = "example-worker"
  name              = "resize"
  timeout_seconds   = 30
  max_receive_count = 5
}

resource "aws_ecs_cluster" "this" {
  name = "example-worker"
}

module "worker" {
  source = "../.."

  prefix             = "example-worker"
  cluster_arn        = aws_ecs_cluster.this.arn
  subnet_ids         = ["subnet-0123456789abcdef0"]
  security_group_ids = ["sg-0123456789abcdef0"]
  queue = {
    name            = module.queue.name
    url             = module.queue.url
    dead_letter_url = module.queue.dead_letter_url
  }
  definition = {
    name      = "resize"
    image_uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/resize@sha256:${sha256("resize")}"
    policy_statements = [
      {
        sid       = "ReceiveMessages"
        actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
        resources = [module.queue.arn]
      },
      {
        sid       = "SendDeadLetters"
        actions   = ["sqs:SendMessage"]
        resources = [module.queue.dead_letter_arn]
      },
    ]
    manifest = {
      description     = "Resizes photos."
      memory_mib      = 512
      timeout_seconds = 30
      trigger         = { queue = { batch_size = 1, batch_window_seconds = 0, maximum_concurrency = 5, max_receive_count = 5 } }
    }
  }
}

output "service" {
  description = "Name of the ECS service."
  value       = module.worker.service_name
}
