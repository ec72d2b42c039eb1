# The module alone: The HTTP API: a route for each function, and an authorizer for routes that need a session.

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

module "api" {
  source = "../.."

  prefix = "example"
  routes = {
    get-status = {
      routes           = ["GET /status"]
      authorization    = "none"
      alias_invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:get-status:live/invocations"
      function_name    = "get-status"
    }
  }
}

output "url" {
  description = "Address of the API."
  value       = module.api.url
}
