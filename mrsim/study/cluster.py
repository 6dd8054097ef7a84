"""A Dask cluster as an executor. Its scheduler runs the chunks of a worker that dies again, somewhere else."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from mrsim.errors import ExtraError, MrsimError
from mrsim.study.provenance import packages

P = ParamSpec("P")
T = TypeVar("T")

ANSWER_S = 10.0
"""A scheduler that has not answered by then is not there."""

WORKERS_S = 60.0
"""A cluster that has no worker by then, which may take as long to start, gets none."""

COUNTED_FOR_S = 5.0
"""How long a count of a cluster's places is good for: workers come and go."""


class ClusterError(MrsimError):
    """A cluster that cannot be used: nobody answers, nobody works, or with other versions than here."""


@contextmanager
def on_dask(address: str, answer_s: float = ANSWER_S, workers_s: float = WORKERS_S) -> Iterator[Executor]:
    """Connect to a Dask cluster: ``with on_dask("tcp://scheduler:8786") as executor: ...``.

    Parameters
    ----------
    address
        Of its scheduler.
    answer_s, workers_s
        How long to wait for the scheduler's answer, and for its first worker, in seconds.

    Yields
    ------
    Executor
        For :func:`mrsim.study.run.run` and its like. The cluster is left running.

    Raises
    ------
    ExtraError
        If the packages for Dask are not installed.
    ClusterError
        If no scheduler answers, or it has no worker.
    """
    with _connected(address, answer_s) as client:
        try:
            client.wait_for_workers(1, timeout=workers_s)
        except TimeoutError as error:
            message = f"{address}: this Dask scheduler has no worker"
            raise ClusterError(message) from error
        yield _Cluster(client)


@contextmanager
def _connected(address: str, answer_s: float) -> Iterator[Any]:
    try:
        from distributed import Client
        from distributed.comm.core import connect
    except ImportError as error:
        raise ExtraError(extra="dask") from error
    _check_address(address, answer_s)

    async def greeted() -> None:
        comm = await asyncio.wait_for(connect(address, timeout=answer_s), answer_s)  # type: ignore[no-untyped-call]
        await comm.close()

    try:
        # A client itself would wait for ever for something that listens and is no scheduler.
        with ThreadPoolExecutor(1) as apart:  # a notebook's thread has a loop of its own already
            apart.submit(lambda: asyncio.run(greeted())).result()
        client: Any = Client(address, timeout=answer_s, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        message = f"{address}: what answers there is no Dask scheduler, or one of another version"
        raise ClusterError(message) from error
    try:
        yield client
    finally:
        client.close()


def _check_address(address: str, answer_s: float) -> None:
    """Refuse an address where nobody listens, at once and with the reason."""
    found = urlsplit(address)
    try:
        place = (found.hostname, found.port)
    except ValueError:
        place = (None, None)
    if found.scheme not in ("tcp", "tls") or None in place:
        message = f"{address}: is no address of a Dask scheduler, such as tcp://scheduler:8786"
        raise ClusterError(message)
    try:
        socket.create_connection(place, timeout=answer_s).close()
    except OSError as error:
        message = f"{address}: no Dask scheduler answers there ({(error.strerror or str(error)).lower()})"
        raise ClusterError(message) from error


class _Cluster(Executor):
    """An executor on a cluster, which knows how many chunks are run there at a time."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._versions = packages()
        self._counted_s, self._places = -COUNTED_FOR_S, 1

    @property
    def places(self) -> int:
        """How many chunks it runs at a time; at least one."""
        now_s = time.monotonic()
        if now_s - self._counted_s >= COUNTED_FOR_S:
            self._counted_s, self._places = now_s, max(1, sum(self._client.nthreads().values()))
        return self._places

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand out work.

        Raises
        ------
        ClusterError
            If the scheduler is not there any more.
        """
        try:
            future: Future[T] = self._executor.submit(_with_versions, self._versions, call, *args, **kwargs)
        except Exception as error:
            message = f"the Dask scheduler is not there any more ({type(error).__name__})"
            raise ClusterError(message) from error
        return future


def _with_versions(versions: dict[str, str], call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Do some work in a worker, if it does it as it would be done here.

    Raises
    ------
    ClusterError
        If it has other versions of what numbers come out of.
    """
    mine = packages()
    differ = [
        f"{name} {mine[name]} instead of {version}" for name, version in versions.items() if mine[name] != version
    ]
    if differ:
        message = f"a worker of the Dask cluster has {', '.join(differ)}: its numbers could be others"
        raise ClusterError(message)
    return call(*args, **kwargs)
