# What operators may do with functions that neither a queue nor the API invokes. The lab attaches the
# policy to nobody.

locals {
  operator_functions = toset([for name in ["migrate-database", "run-operation"] : name if contains(keys(local.lambdas), name)])
}

resource "aws_iam_policy" "operators" {
  count = length(local.operator_functions) > 0 ? 1 : 0

  name        = "${var.prefix}-operators"
  description = "Migrate the database, offer products and name administrators (`darkroom --outputs`)."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "InvokeLiveVersions"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [for name in sort(local.operator_functions) : module.function[name].alias_arn]
    }]
  })
}
