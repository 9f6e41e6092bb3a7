"""A router that offers UPnP, as far as mapping a port goes: `python tests/networks/router.py <own address> <external ip>`.

It answers searches for it and SOAP calls, and prints one line for each mapping that is added or deleted."""

import re
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

OWN, EXTERNAL = sys.argv[1:3]
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"
DESCRIPTION = f"""<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">
<specVersion><major>1</major><minor>0</minor></specVersion><URLBase>http://{OWN}:5000/</URLBase>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>router</friendlyName>
<manufacturer>test</manufacturer><modelName>test</modelName><UDN>uuid:1</UDN><deviceList>
<device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><friendlyName>wan</friendlyName>
<manufacturer>test</manufacturer><modelName>test</modelName><UDN>uuid:2</UDN><deviceList>
<device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><friendlyName>connection</friendlyName>
<manufacturer>test</manufacturer><modelName>test</modelName><UDN>uuid:3</UDN><serviceList>
<service><serviceType>{SERVICE}</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<controlURL>/control</controlURL><eventSubURL>/events</eventSubURL><SCPDURL>/scpd.xml</SCPDURL></service>
</serviceList></device></deviceList></device></deviceList></device></root>"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.reply(DESCRIPTION)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        action = self.headers["SOAPAction"].strip('"').rpartition("#")[2]
        values = dict(re.findall(r"<(New\w+)>([^<]*)<", body))
        answer = ""
        if action == "GetExternalIPAddress":
            answer = f"<NewExternalIPAddress>{EXTERNAL}</NewExternalIPAddress>"
        elif action == "GetStatusInfo":
            answer = (
                "<NewConnectionStatus>Connected</NewConnectionStatus><NewLastConnectionError>ERROR_NONE"
                "</NewLastConnectionError><NewUptime>9</NewUptime>"
            )
        elif action == "AddPortMapping":
            names = ("NewExternalPort", "NewProtocol", "NewInternalClient", "NewInternalPort", "NewLeaseDuration")
            print("add", *(values[name] for name in names), flush=True)
        elif action == "DeletePortMapping":
            print("delete", values["NewExternalPort"], flush=True)
        self.reply(
            '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
            f'<u:{action}Response xmlns:u="{SERVICE}">{answer}</u:{action}Response></s:Body></s:Envelope>'
        )

    def reply(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        return


def answer_searches() -> None:
    group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    group.bind(("", 1900))
    group.setsockopt(
        socket.IPPROTO_IP,
        socket.IP_ADD_MEMBERSHIP,
        struct.pack("4s4s", *map(socket.inet_aton, ("239.255.255.250", OWN))),
    )
    print("ready", flush=True)
    while True:
        query, asker = group.recvfrom(2048)
        wanted = re.search(rb"\r\nST: *(\S+)", query)
        if wanted and b"InternetGatewayDevice:1" in wanted[1]:
            found = (
                f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: {wanted[1].decode()}\r\n"
                f"USN: uuid:1::{wanted[1].decode()}\r\nEXT:\r\nSERVER: test\r\nLOCATION: http://{OWN}:5000/root.xml\r\n\r\n"
            )
            group.sendto(found.encode(), asker)


if __name__ == "__main__":
    httpd = HTTPServer((OWN, 5000), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    answer_searches()
