# Features that emulators lack are disabled here, and only here.

locals {
  emulated = var.target != "aws"

  has = {
    # Both emulators use plain HTTP, so a policy that requires TLS would refuse every call.
    tls = var.target == "aws"

    # The open edition of LocalStack has no image functions, API Gateway v2, ECS and ECR.
    functions = var.target != "localstack"
    api       = var.target != "localstack" && length(local.routes) > 0
    workers   = var.target != "localstack"

    # The API of an emulator has no TLS, which CloudFront requires of an origin.
    site = var.target == "aws" && var.site != null && length(local.routes) > 0

    # MiniStack creates image functions without a Docker engine, but invokes them only with one.
    calls = var.target == "aws" || (var.target == "ministack" && var.emulator_has_engine)

    # MiniStack does not store `tracing_configuration`, so each plan would set it again.
    workflow_tracing = var.target == "aws"

    # MiniStack does not store all attributes of alarms, and no emulator has the metrics.
    alarms = var.target == "aws"

    # MiniStack's services do not reach a steady state.
    steady_state = var.target == "aws"

    # No emulator has event destinations of SES.
    mail_events = var.target == "aws" && contains(keys(local.topology.topics), "mail-events")

    # No emulator has Application Auto Scaling.
    autoscaling = var.target == "aws"

    # MiniStack has no RDS Proxy, LocalStack no RDS. `external_database` replaces them, as it can on AWS.
    database = var.target == "aws" && var.external_database == null && local.database_used

    # The server and its network, also while functions leave them.
    database_server = var.target == "aws" && (var.external_database == null || var.database_retained) && local.database_used
  }
}
