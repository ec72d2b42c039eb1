# The module alone: alarms, the topic that they notify, and the dashboard.

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

module "observability" {
  source = "../.."

  prefix         = "example"
  operator_email = "operators@example.com"
  functions = {
    resize = { name = "example-resize", version = "1", timeout_seconds = 30, init_ms = 300 }
  }
  queues = {
    resize = { name = "example-resize", dead_letter_name = "example-resize-dead-letters" }
  }
}

output "alarms" {
  description = "Alarms that a release watches, by function."
  value       = module.observability.alarm_names
}
