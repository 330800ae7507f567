"""What all our processes load. A process that forks the others loads it for them."""

import importlib

from shared.s3.client import connect_s3

MODULES = ("shared.services", "celery.app.amqp", "celery.app.task", "kombu.transport.redis")


def preload() -> None:
    """Import the modules, and parse the model of the S3 API. Reads no setting, connects to nothing."""
    for module in MODULES:
        importlib.import_module(module)
    connect_s3(endpoint_url="http://localhost", region="us-east-1")
