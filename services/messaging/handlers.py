"""Handlers: the forms in which a message is handled. Each decorator is named by what it guarantees.

    @exactly_once    the handler runs in the transaction that takes its message: its effects are in the database
    @at_least_once   the handler runs outside any transaction: its effects are elsewhere, such as a mail
    @in_steps        the handler commits step by step, and its last step takes the message: it takes long

Handlers are listed by topic in `Container.message_handlers`. A handler has one of these forms, and nothing else: the
inbox opens the transaction and takes the message, so that no handler can forget to.

    HandlerError
    ├── UndeclaredHandler    a handler has none of the forms
    └── MessageLeft          a handler in steps ended without its last step
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

from domain.outbox_message import OutboxMessage
from services.messaging.delivery import Delivery

H = TypeVar("H", bound=Callable[..., Awaitable[object]])
Handler = Callable[..., Awaitable[object]]
"""A function of the message; one that is `in_steps` takes its `Delivery`, too."""
_FORM: Final = "delivered"


class Form(StrEnum):
    """The form of a handler, named by its guarantee."""

    EXACTLY_ONCE = "exactly once"
    AT_LEAST_ONCE = "at least once"
    IN_STEPS = "in steps"


class HandlerError(Exception):
    """A handler isn't written as handlers must be: repeating it is of no use."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(topic)


class UndeclaredHandler(HandlerError):
    """The handler of this topic has none of the forms."""

    def __str__(self) -> str:
        return (
            f"the handler of {self.topic} doesn't say how it is to be called; put @exactly_once, @at_least_once or "
            "@in_steps (services.messaging.handlers) on it"
        )


class MessageLeft(HandlerError):
    """The handler of this topic, in steps, ended and left its message."""

    def __str__(self) -> str:
        return (
            f"the handler of {self.topic} ended and left its message; put its last step inside "
            "`async with delivery.last_step():`"
        )


class Handles(NamedTuple):
    """A handler and its form."""

    form: Form
    handler: Handler

    async def __call__(self, message: OutboxMessage, delivery: Delivery) -> None:
        """Handle the message as its form guarantees. Raises what the handler raises, `LeaseLost`, `HandOver` and
        `MessageLeft`.
        """
        if self.form is Form.EXACTLY_ONCE:
            async with delivery.last_step():
                await self.handler(message)
            return
        async with delivery.renewed():
            if self.form is Form.IN_STEPS:
                await self.handler(message, delivery)
                if not delivery.done:
                    raise MessageLeft(message.topic)
                return
            await self.handler(message)
        async with delivery.last_step():
            pass


def exactly_once(handler: H) -> H:
    """Declare a handler whose effects are in the database. It is called inside a transaction that has taken the
    message: what it stores is committed with that, once, or not at all. It must not send anything elsewhere.
    """
    return _declared(handler, Form.EXACTLY_ONCE)


def at_least_once(handler: H) -> H:
    """Declare a handler with effects outside the database. It is called outside any transaction, and the message is
    taken once it has returned. A worker that is killed in between has it called again: what it sends carries the
    message's id, by which the receiver knows it again.
    """
    return _declared(handler, Form.AT_LEAST_ONCE)


def in_steps(handler: H) -> H:
    """Declare a handler that commits step by step, such as an import. It is called with the message and its `Delivery`,
    and outside any transaction.

    Each step is a transaction that calls `delivery.progress()`, and begins with `delivery.hand_over_if_due()`; the
    last one is inside `delivery.last_step()`. Where an earlier delivery has come to is for the handler to store.
    """
    return _declared(handler, Form.IN_STEPS)


def declared(topic: str, handler: Handler) -> Handles:
    """Return the handler of a topic with its form. Raises `UndeclaredHandler`."""
    form: Form | None = getattr(handler, _FORM, None)
    if form is None:
        raise UndeclaredHandler(topic)
    return Handles(form, handler)


def _declared(handler: H, form: Form) -> H:
    function: Any = handler
    setattr(function, _FORM, form)
    return handler
