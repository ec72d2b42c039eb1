# Variables of the lab, and values that it refuses; with a mock provider.

mock_provider "aws" {
  source = "./mocks"
}

variables {
  # Terraform's tests require values of ephemeral variables.
  external_database_password = "unused"
  payments_secret            = "unused"

  image_digests = {
    for found in fileset("../../images", "*/function.yaml") : dirname(found) => "123456789012.dkr.ecr.eu-central-1.amazonaws.com/darkroom/${dirname(found)}@sha256:${sha256(found)}"
  }
}

run "compute_worker_replaces_the_lambda_function" {
  command = plan

  variables {
    compute = { process-image = "worker" }
  }

  assert {
    condition     = keys(local.workers) == ["process-image"] && !contains(keys(module.function), "process-image")
    error_message = "expected the function as a worker only"
  }
}

run "route_as_worker_is_refused" {
  command = plan

  variables {
    compute = { list-images = "worker" }
  }

  expect_failures = [var.compute]
}

run "schedule_replaces_the_manifests" {
  command = plan

  variables {
    schedules = { start-orders = "rate(1 day)" }
  }

  assert {
    condition     = { for name, schedule in local.schedules : name => schedule if schedule != null } == { start-orders = "rate(1 day)" }
    error_message = "expected that schedule in place of the manifest's"
  }
}

run "schedule_of_a_function_without_one_is_refused" {
  command = plan

  variables {
    schedules = { process-image = "rate(1 day)" }
  }

  expect_failures = [var.schedules]
}

run "function_without_image_is_refused" {
  command = plan

  variables {
    image_digests = {}
  }

  expect_failures = [var.image_digests]
}

run "emulator_without_external_database_is_refused" {
  command = plan

  variables {
    target = "ministack"
  }

  expect_failures = [aws_secretsmanager_secret.database]
}
