mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  region = "eu-central-1"
}

run "each_function_has_an_immutable_repository" {
  command = plan

  assert {
    condition     = length(aws_ecr_repository.this) == length(fileset("../../images", "*/function.yaml"))
    error_message = "expected a repository for each function manifest"
  }
  assert {
    condition     = alltrue([for r in aws_ecr_repository.this : r.image_tag_mutability == "IMMUTABLE" && r.image_scanning_configuration[0].scan_on_push])
    error_message = "expected immutable tags and a scan on push"
  }
  assert {
    condition     = aws_ecr_repository.this["process-image"].name == "darkroom/process-image"
    error_message = "expected the name that `make push` pushes to"
  }
}

run "repository_allows_its_own_function_only" {
  command = plan

  assert {
    condition = (
      jsondecode(aws_ecr_repository_policy.this["process-image"].policy).Statement[0].Condition.ArnLike["aws:SourceArn"]
      == ["arn:aws:lambda:eu-central-1:123456789012:function:darkroom*-process-image"]
    )
    error_message = "expected pulls for the function's name only"
  }
  assert {
    condition     = length(jsondecode(aws_ecr_repository_policy.this["process-image"].policy).Statement) == 1
    error_message = "expected no access of other accounts"
  }
}

run "registry_is_shared_with_named_accounts" {
  command = plan
  variables {
    reader_accounts = ["210987654321"]
  }

  assert {
    condition     = contains(jsondecode(aws_ecr_repository_policy.this["process-image"].policy).Statement[0].Condition.ArnLike["aws:SourceArn"], "arn:aws:lambda:eu-central-1:210987654321:function:darkroom*-process-image")
    error_message = "expected pulls of the other account's function"
  }
  assert {
    condition     = jsondecode(aws_ecr_repository_policy.this["process-image"].policy).Statement[1].Principal.AWS == ["arn:aws:iam::210987654321:root"]
    error_message = "expected the other account's releases to read and tag images"
  }
}

run "live_images_do_not_expire" {
  command = plan

  assert {
    condition = alltrue([
      for policy in aws_ecr_lifecycle_policy.this : (
        jsondecode(policy.policy).rules[0].selection.tagPatternList == ["live-*"]
        && jsondecode(policy.policy).rules[0].rulePriority < min([for rule in slice(jsondecode(policy.policy).rules, 1, 3) : rule.rulePriority]...)
      )
    ])
    error_message = "expected tags of releases to exempt an image from all other rules"
  }
  assert {
    condition     = [for rule in jsondecode(aws_ecr_lifecycle_policy.this["process-image"].policy).rules : rule.selection.tagStatus] == ["tagged", "untagged", "any"]
    error_message = "expected images of releases, images without a tag, and the oldest of all"
  }
}

run "too_few_images_kept_is_refused" {
  command = plan

  variables {
    images_kept = 3
  }

  expect_failures = [var.images_kept]
}
