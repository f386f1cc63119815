//! Neighbor advertisements and solicitations (RFC 4861).
