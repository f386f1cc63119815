//! ARP packets for IPv4 over Ethernet (RFC 826, RFC 5227).
