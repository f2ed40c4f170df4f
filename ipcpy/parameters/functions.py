"""The functions of users that are asked before parameters change, and told after. Knows how they want to be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ArgumentError
from ..log import get_logger

__all__ = ["Functions"]

log = get_logger(__name__)


class Functions:
    """Functions that take (name, value), or one argument: a dict of all that changes at once.

    Args:
        name: of the parameters, for what is logged.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._all: list[tuple[Callable[..., object], bool]] = []

    def add(self, function: Callable[..., object]) -> None:
        """Add one.

        Raises:
            ArgumentError: it cannot be called so.
        """
        wanted = "a function that takes (name, value), or a dict of all that changes at once"
        if not callable(function) or inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise ArgumentError(f"on_set and on_change take {wanted}, got {function!r:.80}")
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # of C, and says nothing of its arguments
            signature = inspect.signature(lambda name, value: None)
        for count in (2, 1):
            try:
                signature.bind(*range(count))
            except TypeError:
                continue
            self._all = [*self._all, (function, count == 1)]
            return
        raise ArgumentError(f"on_set and on_change take {wanted}, got {function!r:.80}, which takes {signature}")

    def ask(self, changes: Mapping[str, Any]) -> str | None:
        """Return why changes are refused; None if they are not. The first that refuses has the last word."""
        for function, whole in self._all:
            for arguments in [(dict(changes),)] if whole else list(changes.items()):
                refusal = self._ask(function, arguments)
                if refusal is not None:
                    return refusal
        return None

    def _ask(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> str | None:
        try:
            said = function(*arguments)
        except ValueError as error:
            return str(error) or "no reason was given"
        except Exception as error:
            log.exception("on_set of %s failed, so nothing was changed", self._name)
            return f"{type(error).__name__}: {error}"
        if said is False:
            return "no reason was given"
        return said or None if isinstance(said, str) else None

    def tell(self, changes: Mapping[str, Any]) -> None:
        """Call each with what has changed; what one raises is logged."""
        for function, whole in self._all:
            for arguments in [(dict(changes),)] if whole else list(changes.items()):
                try:
                    function(*arguments)
                except Exception:
                    log.exception("on_change of %s failed", self._name)


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is another value after than before."""
    return {key: value for key, value in after.items() if key not in before or not _same(before[key], value)}


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, NaN and NaN too."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other or (one != one and other != other))
