# Functions that run as ECS services instead of on Lambda.

resource "aws_ecs_cluster" "workers" {
  count = length(local.workers) > 0 ? 1 : 0

  name = "${var.prefix}-workers"

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "workers" {
  count = length(local.workers) > 0 ? 1 : 0

  cluster_name       = aws_ecs_cluster.workers[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

module "worker" {
  source   = "../modules/worker"
  for_each = local.workers

  prefix              = var.prefix
  definition          = local.definitions[each.key]
  queue               = { name = module.queue[each.key].name, url = module.queue[each.key].url, dead_letter_url = module.queue[each.key].dead_letter_url }
  cluster_arn         = aws_ecs_cluster.workers[0].arn
  subnet_ids          = local.worker_networks[each.key].subnet_ids
  security_group_ids  = local.worker_networks[each.key].security_group_ids
  scaling             = merge(try(var.workers[each.key], {}), local.emulator_scaling)
  autoscaling_enabled = local.has.autoscaling

  depends_on = [aws_ecs_cluster_capacity_providers.workers]
}

locals {
  # Emulators run no tasks.
  emulator_scaling = { for name, value in { wait_for_steady_state = false } : name => value if !local.has.steady_state }

  # A worker always needs a network: its function's, `worker_network`, or the database's.
  worker_networks = {
    for name in keys(local.workers) : name => coalesce(
      lookup(local.networks, name, null), var.worker_network, local.worker_network
    )
  }
}
