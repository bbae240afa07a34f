"""A server of objects in memory that answers each request after a given time, and counts requests.

It speaks as much of the API of S3 as ckpt asks for, checks no rights, and knows one bucket. It is fast: a server in
Python that does everything, such as moto, takes milliseconds for each request, and would be what is measured.
"""

import asyncio
import bisect
import hashlib
import threading
import time
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000


class Server:
    """A server in a thread of its own. `latency` is in seconds."""

    def __init__(self):
        self.objects, self.names, self.latency, self.requests = {}, [], 0.0, []
        self.uploads, self.upload_count = {}, 0
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        def serve():
            asyncio.set_event_loop(self.loop)
            server = self.loop.run_until_complete(asyncio.start_server(self.connected, '127.0.0.1', 0, limit=1 << 26))
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            self.loop.run_forever()

        threading.Thread(target=serve, daemon=True).start()
        started.wait()

    def environment(self):
        return {'AWS_ENDPOINT_URL': 'http://127.0.0.1:%d' % self.port, 'AWS_ACCESS_KEY_ID': 'bench',
                'AWS_SECRET_ACCESS_KEY': 'bench', 'AWS_REGION': 'us-east-1'}

    def put(self, key, data):
        if key not in self.objects:
            bisect.insort(self.names, key)
        self.objects[key] = (data, '"%s"' % hashlib.md5(data).hexdigest())

    def take_requests(self):
        """Returns the method and name of each request since the last call, and when it was answered."""
        taken, self.requests = self.requests, []
        return taken

    async def connected(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b'\r\n\r\n')).decode('latin-1').split('\r\n')
                method, target, _ = head[0].split(' ', 2)
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(':') for line in head[1:])}
                body = await reader.readexactly(int(headers.get('content-length', 0)))
                if self.latency:
                    await asyncio.sleep(self.latency)
                url = urlsplit(target)
                key = unquote(url.path).split('/', 2)[2] if url.path.count('/') > 1 else ''
                status, more, answer = self.answer(method, key, parse_qs(url.query, True), headers, body)
                lines = ['HTTP/1.1 %s' % status, *more]
                if not any(line.startswith('Content-Length') for line in more):
                    lines.append('Content-Length: %d' % len(answer))
                writer.write('\r\n'.join(lines + ['', '']).encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, method, key, query, headers, body):
        if not key:
            return self.list(query)
        self.requests.append((method, key, time.perf_counter()))
        if 'uploads' in query or 'uploadId' in query:
            return self.upload(method, key, query, headers, body)
        if method == 'PUT':
            if 'if-none-match' in headers and key in self.objects:
                return refused('412 Precondition Failed', 'PreconditionFailed')
            self.put(key, body)
            return '200 OK', ['ETag: ' + self.objects[key][1]], b''
        if method == 'DELETE':
            if self.objects.pop(key, None):
                del self.names[bisect.bisect_left(self.names, key)]
            return '204 No Content', [], b''
        if key not in self.objects:
            return refused('404 Not Found', 'NoSuchKey', method == 'HEAD')
        data, etag = self.objects[key]
        facts = ['ETag: ' + etag, 'Last-Modified: ' + formatdate(0, usegmt=True)]
        if method == 'HEAD':
            return '200 OK', facts + ['Content-Length: %d' % len(data)], b''
        if 'range' not in headers:
            return '200 OK', facts, data
        first, _, last = headers['range'].partition('=')[2].partition('-')
        start = int(first) if first else max(0, len(data) - int(last))
        end = min(int(last) + 1, len(data)) if first and last else len(data)
        if start >= len(data):
            return refused('416 Range Not Satisfiable', 'InvalidRange')
        return '206 Partial Content', facts + ['Content-Range: bytes %d-%d/%d' % (start, end - 1, len(data))], data[start:end]

    def upload(self, method, key, query, headers, body):
        """Answers a request that is about an upload in parts."""
        if 'uploads' in query:
            self.upload_count += 1
            self.uploads[str(self.upload_count)] = {}
            return '200 OK', [], ('<InitiateMultipartUploadResult><UploadId>%d</UploadId></InitiateMultipartUploadResult>'
                                  % self.upload_count).encode()
        upload = query['uploadId'][0]
        if upload not in self.uploads:
            return refused('404 Not Found', 'NoSuchUpload')
        if method == 'PUT':
            self.uploads[upload][int(query['partNumber'][0])] = body
            return '200 OK', ['ETag: "%s"' % hashlib.md5(body).hexdigest()], b''
        if method == 'DELETE':
            del self.uploads[upload]
            return '204 No Content', [], b''
        if 'if-none-match' in headers and key in self.objects:
            return refused('412 Precondition Failed', 'PreconditionFailed')
        self.put(key, b''.join(part for _, part in sorted(self.uploads.pop(upload).items())))
        return '200 OK', [], ('<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>'
                              % escape(self.objects[key][1])).encode()

    def list(self, query):
        prefix, delimiter = query.get('prefix', [''])[0], query.get('delimiter', [''])[0]
        after = max(query.get('continuation-token', [''])[0], query.get('start-after', [''])[0])
        self.requests.append(('LIST', prefix, time.perf_counter()))
        at = max(bisect.bisect_left(self.names, prefix), bisect.bisect_right(self.names, after) if after else 0)
        contents, prefixes, last = [], {}, None
        while at < len(self.names) and self.names[at].startswith(prefix):
            name = self.names[at]
            if len(contents) + len(prefixes) == PAGE:
                break
            rest = name[len(prefix):]
            if delimiter and delimiter in rest:
                directory = prefix + rest.split(delimiter)[0] + delimiter
                prefixes[directory] = True
                # The names below it count once.
                last = directory + '\U0010ffff'
                at = bisect.bisect_right(self.names, last)
                continue
            data, etag = self.objects[name]
            contents.append('<Contents><Key>%s</Key><LastModified>2026-11-27T07:00:00.000Z</LastModified><ETag>%s</ETag>'
                            '<Size>%d</Size></Contents>' % (escape(name), etag.replace('"', '&quot;'), len(data)))
            last, at = name, at + 1
        more = at < len(self.names) and self.names[at].startswith(prefix)
        token = '<NextContinuationToken>%s</NextContinuationToken>' % escape(last) if more else ''
        common = ''.join('<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>' % escape(name) for name in prefixes)
        text = '<ListBucketResult>%s%s%s</ListBucketResult>' % (''.join(contents), common, token)
        return '200 OK', [], text.encode()


def refused(status, code, is_head=False):
    return status, [], b'' if is_head else ('<Error><Code>%s</Code></Error>' % code).encode()
