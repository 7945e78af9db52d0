"""A program between a client and an HTTP server, which passes on what it is
told to: it loses requests, loses answers to requests that were done, cuts them
off, or answers itself."""

import contextlib
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Headers of one connection, not of what is passed on.
OF_CONNECTION = {"connection", "content-length", "transfer-encoding", "keep-alive", "expect"}


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body


class Between:
    """rule is asked about each request and says what becomes of it: None (it is
    passed on), "lose" (not passed on, no answer), "forget" (done, no answer),
    "half" (done, half an answer), or (status, JSON) to answer. told is shown each
    answer of the server, as (request, status, body). Both may be set at any time."""

    def __init__(self, port):
        self.port = port
        self.rule = lambda request: None
        self.told = lambda request, status, body: None
        self.did = {}  # how often what was done; guarded by lock
        self.lock = threading.Lock()
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                between.handle(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def count(self, what):
        with self.lock:
            self.did[what] = self.did.get(what, 0) + 1

    def handle(self, h):
        request = Request(h.command, h.path, h.headers, h.rfile.read(int(h.headers.get("Content-Length") or 0)))
        what = self.rule(request)
        if isinstance(what, tuple):
            self.count(what[0])
            return answer(h, what[0], [("Content-Type", "application/json")], json.dumps(what[1]).encode())
        if what:
            self.count(what)
        if what == "lose":
            h.close_connection = True
            return None
        try:
            up = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            up.request(request.method, request.path, request.body, {k: v for k, v in h.headers.items() if k.lower() not in OF_CONNECTION})
            r = up.getresponse()
            body = r.read()
            up.close()
        except OSError:
            h.close_connection = True
            return None
        self.count(r.status)
        self.told(request, r.status, body)
        if what == "forget":
            h.close_connection = True
            return None
        return answer(h, r.status, r.getheaders(), body, half=what == "half")


def answer(h, status, headers, body, half=False):
    h.send_response_only(status)
    for k, v in headers:
        if k.lower() not in OF_CONNECTION:
            h.send_header(k, v)
    if status not in (204, 304):
        h.send_header("Content-Length", str(len(body)))
    h.end_headers()
    if half:
        body, h.close_connection = body[:len(body) // 2], True
    if h.command != "HEAD":
        with contextlib.suppress(ConnectionError):  # who asked may be gone
            h.wfile.write(body)
