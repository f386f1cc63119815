//! The engine's sockets: VRRP over raw IP, and the neighbor packets (ARP, NDP) that announce addresses.
//! All non-blocking, all bound to one interface, all with a filter in the kernel.
