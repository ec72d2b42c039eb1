# What an emulator lacks is left out here, and only here: nothing that is made differs from AWS.

locals {
  emulated = var.target != "aws"

  has = {
    # Both emulators are reached by plain HTTP, and with the rule "TLS only" would refuse every call.
    tls = var.target == "aws"

    # LocalStack's open edition runs no image functions, and has no API Gateway v2, ECS and ECR.
    functions = var.target != "localstack"
    api       = var.target != "localstack"
    workers   = var.target != "localstack"

    # MiniStack takes image functions without a Docker engine, but can call them only with one.
    calls = var.target == "aws" || (var.target == "ministack" && var.emulator_has_engine)

    # MiniStack forgets a state machine's `tracing_configuration`, so that each plan would set it again.
    workflow_tracing = var.target == "aws"

    # MiniStack forgets most of what it is told of an alarm, and no emulator has metrics to raise one.
    alarms = var.target == "aws"

    # Neither has Application Auto Scaling.
    autoscaling = var.target == "aws"

    # RDS, its proxy and the VPC around it: MiniStack has no proxy, LocalStack no RDS. A database from
    # outside (`external_database`) stands in for them, as it may on AWS.
    database = var.target == "aws" && var.external_database == null
  }
}
