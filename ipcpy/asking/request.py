"""Request: what the function of a service is given. Knows one job and its data; nothing of how it came."""

from __future__ import annotations

from typing import Any

from ..graph import EndpointInfo
from .duties import Job

__all__ = ["Request"]


class Request:
    """One call, as the function that answers it has it.

    What is asked is ``request.data``; ``request["x"]`` is short for ``request.data["x"]``, and ``request.x`` for
    ``request.data.x`` where the request has nothing of that name itself.

    Attributes:
        data: what the client asks, decoded.
        service: the name of the service.
        client: who asks; None where that is not known any more.
    """

    __slots__ = ("_job", "client", "data", "service")

    def __init__(self, data: Any, service: str, client: EndpointInfo | None, job: Job) -> None:
        self.data = data
        self.service = service
        self.client = client
        self._job = job

    @property
    def cancelled(self) -> bool:
        """Whether the client does not want it any more: its time is up, it cancelled, or it is gone."""
        return self._job.cancelled

    def __getattr__(self, name: str) -> Any:
        if name in self.__slots__:  # it is being made, or copied
            raise AttributeError(name)
        try:
            return getattr(self.data, name)
        except AttributeError:
            raise AttributeError(f"neither the request nor its data, {self.data!r:.80}, has {name!r}") from None

    def __getitem__(self, key: Any) -> Any:
        return self.data[key]

    def __repr__(self) -> str:
        return f"<ipcpy.Request to {self.service!r}{' cancelled' if self.cancelled else ''}: {self.data!r:.80}>"
