"""
The endpoint C{sockhost:path=…}.
"""

from sockhost.sockets.endpoint import SafeEndpointParser

sockhost_endpoint = SafeEndpointParser()
