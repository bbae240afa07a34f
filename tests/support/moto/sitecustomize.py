"""Makes moto decide about conditional writes as S3 does, and find out sooner for whom a request is.

moto looks whether a name is free and takes it in two steps, so that two writers of one name can both win. Python imports
this module when it starts, because its directory is in `PYTHONPATH`.
"""

import functools
import logging
import threading

try:
    from moto import backends
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication
    from moto.s3.responses import S3Response
except ImportError:  # another program of this environment
    S3Response = None


def one_at_a_time(lock, method):
    def locked(*args, **kwargs):
        with lock:
            return method(*args, **kwargs)

    return locked


if S3Response is not None:
    writing = threading.RLock()
    # The body of a request has arrived when these methods are called.
    for name in ("_key_response_put", "_key_response_post", "_key_response_delete"):
        setattr(S3Response, name, one_at_a_time(writing, getattr(S3Response, name)))
    # For each request, moto lists its own files and tries hundreds of patterns.
    modules = frozenset(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    find = DomainDispatcherApplication.get_backend_for_host
    DomainDispatcherApplication.get_backend_for_host = functools.cache(find)
    # Nobody reads a line for each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
