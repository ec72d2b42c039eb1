"""The fixture of both release tests."""

from tests.unit.deploy.fake_environment import environment as environment
