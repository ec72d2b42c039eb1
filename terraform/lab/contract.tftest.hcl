# What a lab can be asked, and what it refuses; against a provider that only pretends.

mock_provider "aws" {
  source = "./mocks"
}

variables {
  # Terraform's tests want ephemeral variables to be said.
  external_database_password = "of no use here"
  payments_secret            = "of no use here"

  image_digests = {
    for found in fileset("../../images", "*/function.yaml") : dirname(found) => "123456789012.dkr.ecr.eu-central-1.amazonaws.com/darkroom/${dirname(found)}@sha256:${sha256(found)}"
  }
}

run "a_worker_where_asked" {
  command = plan

  variables {
    compute = { process-image = "worker" }
  }

  assert {
    condition     = keys(local.workers) == ["process-image"] && !contains(keys(module.function), "process-image")
    error_message = "expected the function as a worker, and not as a Lambda function as well"
  }
}

run "a_route_is_no_worker" {
  command = plan

  variables {
    compute = { list-images = "worker" }
  }

  expect_failures = [var.compute]
}

run "a_rarer_schedule_where_asked" {
  command = plan

  variables {
    schedules = { start-orders = "rate(1 day)" }
  }

  assert {
    condition     = { for name, schedule in local.schedules : name => schedule if schedule != null } == { start-orders = "rate(1 day)" }
    error_message = "expected that schedule in place of the manifest's"
  }
}

run "a_schedule_of_none_that_has_one" {
  command = plan

  variables {
    schedules = { process-image = "rate(1 day)" }
  }

  expect_failures = [var.schedules]
}

run "a_function_without_an_image_is_refused" {
  command = plan

  variables {
    image_digests = {}
  }

  expect_failures = [var.image_digests]
}

run "an_emulator_wants_its_database_named" {
  command = plan

  variables {
    target = "ministack"
  }

  expect_failures = [aws_secretsmanager_secret.database]
}
