"""The section `PASSWORDS__…`: cost parameters of argon2id hashes."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class PasswordSettings(BaseModel):
    """Costs of hashes. A stored hash gets new costs when its owner next logs in. The defaults are RFC 9106's second
    choice.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    time_cost: int = Field(default=3, ge=1, le=100)
    """Number of passes over the memory."""
    memory_cost: int = Field(default=65536, ge=8, le=4_194_304)
    """Memory of one hash in KiB."""
    parallelism: int = Field(default=4, ge=1, le=64)
    """Number of lanes of one hash."""
    threads: int | None = Field(default=None, ge=1, le=256)
    """Maximum concurrent hashes in each process, each with `memory_cost`; default: the number of processors less one,
    which the event loop keeps, and at least one.
    """
    max_waiting: int = Field(default=64, ge=1, le=100_000)
    """Maximum hashes that wait in each process for clients; one network (IPv4 address, IPv6 /64) may have an eighth of
    them. Beyond it a request is answered 503.
    """

    @model_validator(mode="after")
    def _enough_for_each_lane(self) -> Self:
        if self.memory_cost < 8 * self.parallelism:
            msg = f"memory_cost is below 8 KiB for each of {self.parallelism} lanes, which argon2 needs"
            raise ValueError(msg)
        return self
