# Converts the manifests' grants to policy statements: each action on its resource only.

locals {
  grants = {
    for name, m in local.manifests : name => flatten([
      for grant in try(m.grants, []) : [
        for action in grant.actions : [
          for kind, resource in grant : {
            # s3:ListBucket applies to the bucket, other actions to its objects; a query may use an index.
            key = join("/", compact([kind, resource,
              kind == "bucket" ? (startswith(action, "s3:ListBucket") ? "itself" : "objects") : "",
              kind == "table" && contains(["dynamodb:Query", "dynamodb:Scan"], action) ? "indexes" : "",
            ]))
            action = action
          } if kind != "actions"
        ]
      ]
    ])
  }

  resources = merge(
    { for name, arn in module.storage.bucket_arns : "bucket/${name}/itself" => [arn] },
    { for name, arn in module.storage.bucket_arns : "bucket/${name}/objects" => ["${arn}/*"] },
    { for name, arn in module.storage.table_arns : "table/${name}" => [arn] },
    {
      for name, arn in module.storage.table_arns : "table/${name}/indexes" => concat(
        [arn], [for index in sort(keys(try(local.topology.tables[name].indexes, {}))) : "${arn}/index/${index}"]
      )
    },
    { for name, topic in aws_sns_topic.this : "topic/${name}" => [topic.arn] },
    { for name, identity in aws_ses_email_identity.sender : "mail/${name}" => concat(
      [identity.arn], values(aws_ses_email_identity.recipient)[*].arn, aws_ses_domain_identity.this[*].arn, aws_ses_configuration_set.emails[*].arn
    ) },
    { for name, workflow in module.workflow : "workflow/${name}" => [workflow.arn] },
    { for name, arn in local.values.secret : "secret/${name}" => [arn] },
    local.lab_resources,
  )

  # Of all functions, by name: references to each would exceed the size of a policy. Actions on `*` have
  # no resource: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
  lab_resources = {
    "lab/queues"       = ["arn:${local.partition}:sqs:${var.region}:${local.account}:${var.prefix}-*"]
    "lab/dead-letters" = ["arn:${local.partition}:sqs:${var.region}:${local.account}:${var.prefix}-*-dead-letters"]
    "lab/log-groups"   = [for kind in ["aws/lambda", "ecs"] : "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/${kind}/${var.prefix}-*"]
    "lab/functions"    = ["arn:${local.partition}:lambda:${var.region}:${local.account}:function:${var.prefix}-*"]
    "lab/release"      = ["arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/${var.prefix}/release"]
    "lab/all-queues"   = ["*"]
    "lab/logs"         = ["*"]
    "lab/metrics"      = ["*"]
  }

  # Permissions of every queue function: receive messages and send dead letters. Lambda reads the queue's
  # attributes, a worker extends visibility timeouts:
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  queue_statements = {
    for name in keys(local.queue_functions) : name => [
      {
        sid = "ReceiveMessages"
        actions = [
          "sqs:ReceiveMessage", "sqs:DeleteMessage",
          contains(keys(local.workers), name) ? "sqs:ChangeMessageVisibility" : "sqs:GetQueueAttributes",
        ]
        resources = [module.queue[name].arn]
      },
      {
        sid     = "SendDeadLetters"
        actions = ["sqs:SendMessage"]
        resources = concat(
          [module.queue[name].dead_letter_arn],
          contains(local.self_sending, name) ? [module.queue[name].arn] : [],
        )
      },
    ]
  }

  policy_statements = {
    for name in keys(local.manifests) : name => concat(
      [
        for key in sort(distinct([for grant in local.grants[name] : grant.key])) : {
          sid       = join("", [for word in split("-", replace(key, "/", "-")) : title(word)])
          actions   = sort(distinct([for grant in local.grants[name] : grant.action if grant.key == key]))
          resources = local.resources[key]
        } if !(local.token && key == "secret/database")
      ],
      lookup(local.queue_statements, name, []),
      # With IAM tokens, this replaces access to the secret.
      local.token && contains(local.with_database, name) ? [{
        sid       = "ConnectDatabase"
        actions   = ["rds-db:connect"]
        resources = [local.database.user_arn]
      }] : [],
    )
  }
}
