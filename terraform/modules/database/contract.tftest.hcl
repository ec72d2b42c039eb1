mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"], zone_ids = ["euc1-az2", "euc1-az3", "euc1-az1"] }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_db_instance" {
    defaults = {
      address            = "server.example"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1" }]
    }
  }
  mock_resource "aws_rds_cluster" {
    defaults = {
      endpoint           = "cluster.example"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!cluster-1" }]
    }
  }
  mock_resource "aws_db_proxy" {
    defaults = {
      arn      = "arn:aws:rds:eu-central-1:123456789012:db-proxy:prx-0123456789abcdef0"
      endpoint = "proxy.example"
    }
  }
  mock_resource "aws_db_proxy_default_target_group" {
    defaults = { name = "default" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/darkroom-database-proxy" }
  }
  mock_resource "aws_security_group" {
    defaults = { id = "sg-0123456789abcdef0" }
  }
  mock_resource "aws_vpc_endpoint" {
    defaults = { prefix_list_id = "pl-01234567" }
  }
}

run "proxy_requires_token_and_tls" {
  command = apply

  assert {
    condition     = aws_db_proxy.this[0].require_tls && one(aws_db_proxy.this[0].auth).iam_auth == "REQUIRED" && one(aws_db_proxy.this[0].auth).auth_scheme == "SECRETS"
    error_message = "expected a proxy that takes only IAM tokens over TLS"
  }
  assert {
    condition     = output.url == "postgresql://darkroom@proxy.example:5432/darkroom?sslmode=verify-full"
    error_message = "expected the proxy's address, verified, without a password"
  }
  assert {
    condition     = output.user_arn == "arn:aws:rds-db:eu-central-1:123456789012:dbuser:prx-0123456789abcdef0/darkroom"
    error_message = "expected the one user of the one proxy"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.proxy[0].policy).Statement[0].Resource == ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1"] && length(jsondecode(aws_iam_role_policy.proxy[0].policy).Statement) == 1
    error_message = "expected the proxy to read the server's login and nothing else"
  }
}

run "rds_manages_the_password" {
  command = apply

  assert {
    condition     = aws_db_instance.this[0].manage_master_user_password && aws_db_instance.this[0].password == null
    error_message = "expected a password outside of the state"
  }
  assert {
    condition     = aws_secretsmanager_secret_rotation.master.secret_id == output.secret_arn && aws_secretsmanager_secret_rotation.master.rotation_rules[0].automatically_after_days == 7
    error_message = "expected the server's own secret to be rotated each week"
  }
}

run "data_is_protected_by_default" {
  command = apply

  assert {
    condition = (
      aws_db_instance.this[0].deletion_protection
      && aws_db_instance.this[0].skip_final_snapshot == false
      && aws_db_instance.this[0].backup_retention_period == 7
      && aws_db_instance.this[0].storage_encrypted
      && aws_db_instance.this[0].delete_automated_backups == false
    )
    error_message = "expected protection, backups, a last snapshot and encryption"
  }
}

run "unprotected_database_can_be_destroyed" {
  command = apply

  variables {
    deletion_protection = false
  }

  assert {
    condition     = aws_db_instance.this[0].skip_final_snapshot && aws_db_instance.this[0].delete_automated_backups && !aws_db_instance.this[0].deletion_protection
    error_message = "expected no final snapshot and no backups"
  }
}

run "network_has_no_internet_access" {
  command = apply

  assert {
    condition     = !aws_db_instance.this[0].publicly_accessible && length(aws_internet_gateway.this) == 0 && length(aws_nat_gateway.this) == 0 && length(aws_route.outbound) == 0
    error_message = "expected no public address and no internet gateway"
  }
  assert {
    condition     = keys(aws_subnet.private) == ["eu-central-1a", "eu-central-1b"] && length(distinct([for s in aws_subnet.private : s.cidr_block])) == 2
    error_message = "expected a subnet in each of two zones"
  }
  assert {
    condition     = length(aws_default_security_group.this.ingress) == 0 && length(aws_default_security_group.this.egress) == 0
    error_message = "expected no rules in the default security group"
  }
  assert {
    condition     = alltrue([for e in aws_security_group.clients.egress : !contains(e.cidr_blocks == null ? [] : e.cidr_blocks, "0.0.0.0/0")])
    error_message = "expected functions to reach nothing outside of the VPC"
  }
  assert {
    condition     = output.outbound_vpc == null
    error_message = "expected no NAT gateway by default"
  }
}

run "endpoints_reach_aws_services" {
  command = apply

  assert {
    condition     = toset([for e in aws_vpc_endpoint.gateway : e.service_name]) == toset(["com.amazonaws.eu-central-1.dynamodb", "com.amazonaws.eu-central-1.s3"])
    error_message = "expected gateway endpoints for S3 and DynamoDB"
  }
  assert {
    condition     = keys(aws_vpc_endpoint.interface) == ["email", "secretsmanager", "sns", "sqs", "states"] && alltrue([for e in aws_vpc_endpoint.interface : e.private_dns_enabled && length(e.subnet_ids) == 2])
    error_message = "expected interface endpoints with private DNS in both zones"
  }
  assert {
    condition     = alltrue([for e in aws_vpc_endpoint.interface : jsondecode(e.policy).Statement[0].Condition.StringEquals["aws:PrincipalAccount"] == "123456789012"])
    error_message = "expected the endpoints to be for this account only"
  }
}

run "server_accepts_the_proxy_only" {
  command = apply

  assert {
    condition     = one(aws_security_group.server.ingress).from_port == 5432 && one(aws_security_group.server.ingress).to_port == 5432 && length(one(aws_security_group.server.ingress).cidr_blocks == null ? [] : one(aws_security_group.server.ingress).cidr_blocks) == 0
    error_message = "expected ingress from security groups only, on one port"
  }
  assert {
    condition     = one([for p in aws_db_parameter_group.this[0].parameter : p.value if p.name == "rds.force_ssl"]) == "1"
    error_message = "expected the server to refuse connections without TLS"
  }
}

run "aurora_serverless" {
  command = apply

  variables {
    settings = {
      engine_mode    = "serverless"
      engine_version = "17.5"
      serverless     = { minimum_acu = 0.5, maximum_acu = 8, instances = 2 }
    }
  }

  assert {
    condition     = length(aws_db_instance.this) == 0 && length(aws_rds_cluster_instance.this) == 2 && alltrue([for i in aws_rds_cluster_instance.this : i.instance_class == "db.serverless"])
    error_message = "expected a cluster of two serverless instances"
  }
  assert {
    condition     = aws_rds_cluster.this[0].serverlessv2_scaling_configuration[0].min_capacity == 0.5 && aws_rds_cluster.this[0].serverlessv2_scaling_configuration[0].max_capacity == 8
    error_message = "expected the requested capacity"
  }
  assert {
    # Of 16 GiB.
    condition     = output.connection_limit == 1351
    error_message = "expected the connections of the maximum capacity"
  }
  assert {
    condition     = aws_rds_cluster.this[0].manage_master_user_password && aws_rds_cluster.this[0].storage_encrypted && aws_rds_cluster.this[0].deletion_protection
    error_message = "expected the settings of an instance"
  }
  assert {
    condition     = aws_db_proxy_target.this[0].db_cluster_identifier == "darkroom-database" && aws_db_proxy_target.this[0].db_instance_identifier == null && aws_rds_cluster_parameter_group.this[0].family == "aurora-postgresql17"
    error_message = "expected the cluster as target of the proxy"
  }
}

run "aurora_does_not_pause_behind_a_proxy" {
  command = plan

  variables {
    settings = { engine_mode = "serverless", serverless = { minimum_acu = 0 } }
  }

  expect_failures = [aws_rds_cluster.this]
}

run "without_proxy_and_in_one_endpoint_zone" {
  command = apply

  variables {
    settings            = { proxy_enabled = false, endpoint_zones = 1 }
    interface_endpoints = ["secretsmanager", "sns"]
  }

  assert {
    condition     = length(aws_db_proxy.this) == 0 && length(aws_iam_role.proxy) == 0 && output.user_arn == null
    error_message = "expected no proxy"
  }
  assert {
    condition     = output.url == "postgresql://darkroom@server.example:5432/darkroom?sslmode=verify-full"
    error_message = "expected the server's own address, verified"
  }
  assert {
    # Of 1 GiB, db.t4g.micro.
    condition     = output.connection_limit == 84
    error_message = "expected the connections of the instance class"
  }
  assert {
    condition     = alltrue([for e in aws_vpc_endpoint.interface : length(e.subnet_ids) == 1])
    error_message = "expected endpoints in one zone"
  }
}

run "outbound_subnets_use_a_nat_gateway" {
  command = apply

  variables {
    outbound_enabled = true
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && aws_route.outbound[0].route_table_id == aws_route_table.outbound[0].id && aws_route.outbound[0].route_table_id != aws_route_table.private.id
    error_message = "expected one NAT gateway, and no route to it from the other subnets"
  }
  assert {
    condition     = length(output.outbound_vpc.subnet_ids) == 2 && length(setintersection(output.outbound_vpc.subnet_ids, output.vpc.subnet_ids)) == 0
    error_message = "expected separate subnets"
  }
}

run "zones_by_id" {
  variables {
    settings = { zone_ids = ["euc1-az1", "euc1-az2"], instance = { class = "db.m7g.8xlarge" } }
  }

  assert {
    condition     = output.connection_limit == 5000
    error_message = "expected RDS's limit of connections for a large class"
  }

  assert {
    condition     = toset(keys(aws_subnet.private)) == toset(["eu-central-1a", "eu-central-1c"]) && alltrue([for e in aws_vpc_endpoint.interface : length(e.subnet_ids) == 2])
    error_message = "expected subnets in the zones with these ids"
  }
}

run "one_zone_by_id_is_refused" {
  command = plan

  variables {
    settings = { zone_ids = ["euc1-az1"] }
  }

  expect_failures = [var.settings]
}

run "single_zone_is_refused" {
  command = plan

  variables {
    settings = { availability_zones = 1 }
  }

  expect_failures = [var.settings]
}

run "gateway_endpoints_allow_this_account_only" {
  variables {
    interface_endpoints = ["ecr.api", "ecr.dkr", "logs", "sqs"]
  }

  assert {
    condition = { for name, endpoint in aws_vpc_endpoint.gateway : name => [for s in jsondecode(endpoint.policy).Statement : s.Sid] } == {
      dynamodb = ["ThisAccount"]
      s3       = ["ThisAccount", "ImageLayers"]
    }
    error_message = "expected policies for this account, and image layers of ECR for workers"
  }
}

run "logs_of_postgres_have_a_retention" {
  assert {
    condition     = { for name, group in aws_cloudwatch_log_group.server : group.name => group.retention_in_days } == { "/aws/rds/instance/darkroom-database/postgresql" = 30, "/aws/rds/instance/darkroom-database/upgrade" = 30 }
    error_message = "expected both log groups of the instance with a retention"
  }
}
