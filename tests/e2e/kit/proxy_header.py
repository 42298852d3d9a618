"""PROXY protocol headers, built byte by byte: good ones, odd ones, and how to take one apart."""
import ipaddress
import struct

signature = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4, UDP4, TCP6, UNIX, UNKNOWN = 0x11, 0x12, 0x21, 0x31, 0x00
relay_type = 0xe4


def tlv(kind, value):
    return bytes([kind]) + struct.pack(">H", len(value)) + value


def addresses(source, destination="198.51.100.1", ports=(49153, 443)):
    return (ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed + struct.pack(">HH", *ports))


def raw(command, family, rest):
    return signature + bytes([command, family]) + struct.pack(">H", len(rest)) + rest


def header(source, destination=None, ports=(49153, 443), tlvs=b""):
    """PROXY over TCP, IPv4 or IPv6 as the source is."""
    v4 = ":" not in source
    destination = destination or ("198.51.100.1" if v4 else "2001:db8::1")
    return raw(PROXY, TCP4 if v4 else TCP6, addresses(source, destination, ports) + tlvs)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def with_checksum(source, change=0):
    bare = header(source, tlvs=tlv(3, b"\0\0\0\0"))
    return bare[:-4] + struct.pack(">I", crc32c(bare) ^ change)


def relay_mark(region):
    return tlv(relay_type, b"gatehouse/1 " + region.encode())


class Parsed:
    """A header at the beginning of `data`, and the bytes behind it."""

    def __init__(self, data):
        assert data[:12] == signature, data[:64]
        self.command, self.family = data[12], data[13]
        size = 16 + struct.unpack(">H", data[14:16])[0]
        assert len(data) >= size, "cut"
        self.rest = data[size:]
        address_bytes = {TCP4: 12, TCP6: 36, UNKNOWN: 0}[self.family]
        block = data[16:16 + address_bytes]
        self.source = self.destination = self.ports = None
        if address_bytes:
            each = 4 if self.family == TCP4 else 16
            self.source = str(ipaddress.ip_address(block[:each]))
            self.destination = str(ipaddress.ip_address(block[each:2 * each]))
            self.ports = struct.unpack(">HH", block[2 * each:])
        self.tlvs = []
        at = 16 + address_bytes
        while at < size:
            bytes_ = struct.unpack(">H", data[at + 1:at + 3])[0]
            self.tlvs.append((data[at], data[at + 3:at + 3 + bytes_]))
            at += 3 + bytes_
        assert at == size
