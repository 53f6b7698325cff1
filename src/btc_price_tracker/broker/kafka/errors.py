"""What Kafka or the way to it says went wrong, in words that name the remedy."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import errors

from btc_price_tracker.broker.cancellation import cancellation_kept
from btc_price_tracker.errors import BrokerUnavailable

_REFUSED = "it refuses the user or the password; correct BROKER_URL"
_PERMISSION = "this user may not do that; grant it the topic, and the transactional id of the same name"
_UNREACHABLE = "it can't be reached; check host, port, user and password in BROKER_URL, and that it runs"
_CLASSES: list[tuple[tuple[type[Exception], ...], str]] = [
    ((errors.AuthenticationFailedError, errors.SaslAuthenticationFailed), _REFUSED),
    ((errors.TopicAuthorizationFailedError, errors.TransactionalIdAuthorizationFailed), _PERMISSION),
    ((errors.ClusterAuthorizationFailedError,), _PERMISSION),
    ((errors.UnknownTopicOrPartitionError,), "the topic is gone; it is made anew"),
    ((errors.NotEnoughReplicasError,), "too few replicas of the topic are in sync; look at its brokers"),
    ((errors.KafkaTimeoutError, errors.RequestTimedOutError, TimeoutError), "no answer in time"),
    ((errors.KafkaConnectionError, OSError), _UNREACHABLE),
]


@asynccontextmanager
async def attempt(seconds: float) -> AsyncIterator[None]:
    """Give what is inside so many seconds; what the client library raises leaves as BrokerUnavailable."""
    try:
        async with asyncio.timeout(seconds):
            with cancellation_kept():
                yield
    except errors.ProducerFenced:
        raise
    except (errors.KafkaError, OSError, TimeoutError) as error:
        raise unavailable(error) from error


def hide_fencing() -> None:
    """Keep out of the log that futures inside the client library have failed because another instance leads.

    No one awaits these, so asyncio would log each with a traceback; the term reports it as LeaseLost.
    """
    logging.getLogger("asyncio").addFilter(_is_no_fencing)  # once: it is the same function each time


def _is_no_fencing(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], errors.ProducerFenced))


def unavailable(error: Exception) -> BrokerUnavailable:
    """The same fault as a BrokerUnavailable that names the remedy."""
    words = str(error) or type(error).__name__
    remedy = next((text for kinds, text in _CLASSES if isinstance(error, kinds)), "it returned an error")
    return BrokerUnavailable(f"kafka: {remedy} ({words})")
