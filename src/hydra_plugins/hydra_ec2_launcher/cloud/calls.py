"""Clients of AWS, and their errors in our own terms."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
)

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import AnswerLostError, RefusedError
from hydra_plugins.hydra_ec2_launcher.cloud.refusals import REFUSALS, remedy

CONNECT_S = 10
READ_S = 60
READ_ATTEMPTS = 4

Client = Any  # boto3 makes its clients' classes at run time


session = cache(Session)  # one for all clients: reading the services' descriptions takes most of a second


def client(service: str, region: str, *, attempts: int = READ_ATTEMPTS) -> Client:
    """A client of one service in one region, from the usual credentials and AWS_ENDPOINT_URL."""
    # "standard": the default mode counts retries otherwise, and would ask a zone without capacity twice at least.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(retries=retries, connect_timeout=CONNECT_S, read_timeout=READ_S)
    return session().client(service, region_name=region, config=config)


@contextmanager
def answers() -> Iterator[None]:
    """Turn what goes wrong with a call into RefusedError, AnswerLostError, or ValueError where credentials lack."""
    try:
        yield
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        # AWS answers a shortage with a server error too; any other one says nothing about what was done.
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500 and code not in REFUSALS:
            raise AnswerLostError(f"{error.operation_name}: {code}: {message}") from error
        raise RefusedError(code, message, remedy(code, message)) from error
    except (HTTPClientError, ConnectionError) as error:
        raise AnswerLostError(str(error)) from error
    except (NoCredentialsError, CredentialRetrievalError) as error:
        raise ValueError(f"AWS credentials: {error}\n  remedy: aws configure, or aws sso login") from error
    except BotoCoreError as error:
        raise ValueError(f"AWS call: {error}\n  remedy: correct what hydra.launcher.rent asks for") from error
