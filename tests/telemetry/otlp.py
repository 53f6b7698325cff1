"""An OTLP receiver of one's own: an HTTP server that decodes what an exporter sends."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as it came over the wire."""

    name: str
    kind: int  # 1 internal, 2 server, 3 client, 4 producer, 5 consumer
    trace: str
    id: str
    parent: str  # "" for a root
    start: int  # ns
    end: int
    attributes: dict[str, Any]
    links: tuple[str, ...]  # traces
    failed: bool
    reason: str  # of the failure
    resource: dict[str, Any]

    @property
    def instance(self) -> str:
        return str(self.resource["service.instance.id"])


@dataclass
class Receiver:
    """Spans in the order in which they arrived."""

    port: int = 0
    spans: list[ReceivedSpan] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str) -> list[ReceivedSpan]:
        return [span for span in list(self.spans) if span.name == name]

    def traces(self) -> dict[str, list[ReceivedSpan]]:
        traces: dict[str, list[ReceivedSpan]] = {}
        for span in list(self.spans):
            traces.setdefault(span.trace, []).append(span)
        return traces

    def take(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _attributes(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_read(span, resource) for span in scope.spans]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver for as long as the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.path == "/v1/traces":
                receiver.take(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def _read(span: Any, resource: dict[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        tuple(link.trace_id.hex() for link in span.links),
        span.status.code == 2,
        span.status.message,
        resource,
    )


def _attributes(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
