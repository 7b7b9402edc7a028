"""Signs in at a server and prints the cookie of the session.

usage: session.py URL EMAIL PASSWORD
"""

import http.client
import sys
from urllib.parse import urlencode, urlsplit

url, email, password = urlsplit(sys.argv[1]), sys.argv[2], sys.argv[3]
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": sys.argv[1]}
connection.request("POST", "/sign-in", urlencode({"email": email, "password": password}), headers)
answer = connection.getresponse()
cookie = answer.getheader("Set-Cookie")
if not cookie:
    sys.exit(f"sign-in: {answer.status}")
print(cookie.split(";")[0])
