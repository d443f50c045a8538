"""One GET with Python's http.client, which speaks HTTP/1.1.

    python3 client.py URL CA.pem CLIENT.pem CLIENT.key < TOKEN

Prints the protocol and the status, an empty line, and the body.
"""
import http.client
import ssl
import sys
from urllib.parse import urlsplit

url, authority, certificate, private_key = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
context.load_cert_chain(certificate, private_key)
parts = urlsplit(url)
connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context, timeout=20)
connection.request("GET", parts.path, headers={"Authorization": f"Bearer {sys.stdin.read().strip()}"})
response = connection.getresponse()
protocol = {10: "HTTP/1.0", 11: "HTTP/1.1"}[response.version]
print(f"{protocol} {response.status}\n\n{response.read().decode()}", end="")
