"""Two nodes of this process on loopback, which the tests of services share within a module."""

from __future__ import annotations

import pytest

import ipcpy as ipc


@pytest.fixture(scope="module")
def here():
    """Return the node of those who answer."""
    with ipc.Node("server") as node:
        yield node


@pytest.fixture(scope="module")
def there():
    """Return the node of those who ask."""
    with ipc.Node("client") as node:
        yield node


@pytest.fixture
def name(request):
    """Return the name of a service that no other test has."""
    return f"test/{abs(hash(request.node.nodeid)):x}"


@pytest.fixture
def serve(here, name):
    """Return a function that answers with a function, and is closed at the end."""
    made = []

    def begin(function, *types, **more):
        made.append(ipc.Service(name, function, *types, **{"node": here, **more}))
        return made[-1]

    yield begin
    for each in made:
        each.close()


@pytest.fixture
def ask(there, name):
    """Return a function that makes a client of the service, closed at the end."""
    made = []

    def begin(*types, **more):
        made.append(ipc.Client(name, *types, **{"node": there, **more}))
        return made[-1]

    yield begin
    for each in made:
        each.close()
