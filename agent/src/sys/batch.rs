//! Many datagrams with one system call (`sendmmsg`, `recvmmsg`), each with a source address of its own.
//!
//! nix offers both, but with one set of control messages for all datagrams; virtual routers differ in their source. And the
//! kernel's own calls, not the C library's: musl makes a call for each datagram out of them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{
    c_void, cmsghdr, in_pktinfo, in6_pktinfo, iovec, mmsghdr, msghdr, sockaddr_in, sockaddr_in6,
    sockaddr_storage,
};

/// So many datagrams go with one system call at most: the kernel's own limit (`UIO_MAXIOV`).
const MOST_PER_CALL: usize = 1024;

/// Room for the control messages of one datagram: a packet-info and a hop limit, with their headers.
const CONTROL_LEN: usize = 80;

/// What the C library declares the lengths of control messages to be. The kernel reads more, and all of it is zeroed.
#[cfg(target_env = "musl")]
type ControlLen = libc::socklen_t;
#[cfg(not(target_env = "musl"))]
type ControlLen = usize;

/// A control buffer, aligned as its headers must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// One datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What to send.
    pub bytes: &'a [u8],
    /// From which address to which; `None` for a socket that sends whole frames.
    pub path: Option<(IpAddr, IpAddr)>,
}

/// Memory for sending, kept between calls.
#[derive(Default)]
pub struct Sender {
    vectors: Vec<iovec>,
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    headers: Vec<mmsghdr>,
}

// SAFETY: the pointers in the vectors are written and read within one call of `send`, never across calls.
unsafe impl Send for Sender {}

impl Sender {
    /// Sends `datagrams` in their order until one is refused; how many went, at least one. The error is that of the
    /// first one, if none went.
    pub fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl ExactSizeIterator<Item = Datagram<'a>>,
    ) -> io::Result<usize> {
        let count = datagrams.len().min(MOST_PER_CALL);
        self.vectors.clear();
        self.names.clear();
        self.controls.clear();
        self.headers.clear();
        // Reserved first, so that nothing below moves what the headers point to.
        self.vectors.reserve(count);
        self.names.reserve(count);
        self.controls.reserve(count);
        for datagram in datagrams.take(count) {
            let header = self.header(&datagram);
            self.headers.push(mmsghdr {
                msg_hdr: header,
                msg_len: 0,
            });
        }
        // SAFETY: the headers point into the vectors of `self`, which are not touched until the call returns, and to the
        // datagrams' bytes, which the kernel only reads.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_sendmmsg,
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn header(&mut self, datagram: &Datagram<'_>) -> msghdr {
        // SAFETY: these structures are plain data, for which all zeros is a valid value.
        let mut header: msghdr = unsafe { mem::zeroed() };
        self.vectors.push(iovec {
            iov_base: datagram.bytes.as_ptr().cast_mut().cast(),
            iov_len: datagram.bytes.len(),
        });
        header.msg_iov = last(&mut self.vectors);
        header.msg_iovlen = 1;
        if let Some((source, destination)) = datagram.path {
            let (name, name_len) = socket_address(destination);
            self.names.push(name);
            header.msg_name = last(&mut self.names).cast();
            header.msg_namelen = name_len;
            self.controls.push(Control([0; CONTROL_LEN]));
            header.msg_control = last(&mut self.controls).cast();
            header.msg_controllen = CONTROL_LEN as ControlLen;
            header.msg_controllen = write_source(&header, source) as ControlLen;
        }
        header
    }
}

impl core::fmt::Debug for Sender {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Memory for receiving, kept between calls.
pub struct Receiver {
    buffers: Vec<u8>,
    buffer_len: usize,
    vectors: Vec<iovec>,
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    headers: Vec<mmsghdr>,
    received: usize,
}

// SAFETY: the pointers in the vectors are written and read within one call of `receive`, never across calls.
unsafe impl Send for Receiver {}

/// One datagram received.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Its bytes, as far as they fit.
    pub bytes: &'a [u8],
    /// The sender's address, where the socket tells it (IP sockets).
    pub source: Option<IpAddr>,
    /// The destination address, where the socket was told to tell it.
    pub destination: Option<IpAddr>,
    /// The hop limit, where the socket was told to tell it.
    pub hop_limit: Option<u8>,
    /// Sent by this host itself (`AF_PACKET` sockets).
    pub outgoing: bool,
}

impl Receiver {
    /// Memory for `count` datagrams of `buffer_len` bytes each.
    pub fn new(count: usize, buffer_len: usize) -> Self {
        let count = count.min(MOST_PER_CALL);
        // SAFETY: these structures are plain data, for which all zeros is a valid value.
        let (name, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self {
            buffers: vec![0; count * buffer_len],
            buffer_len,
            vectors: vec![vector; count],
            names: vec![name; count],
            controls: vec![Control([0; CONTROL_LEN]); count],
            headers: vec![header; count],
            received: 0,
        }
    }

    /// How many datagrams it has room for.
    pub fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Receives what is there, without waiting; how many. Nothing there is no error.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.received = 0;
        for index in 0..self.headers.len() {
            self.vectors[index] = iovec {
                iov_base: self.buffers[index * self.buffer_len..].as_mut_ptr().cast(),
                iov_len: self.buffer_len,
            };
            // SAFETY: plain data, for which all zeros is a valid value.
            let mut header: msghdr = unsafe { mem::zeroed() };
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut self.names[index]).cast();
            header.msg_namelen = mem::size_of::<sockaddr_storage>() as libc::socklen_t;
            header.msg_control = (&raw mut self.controls[index]).cast();
            header.msg_controllen = CONTROL_LEN as ControlLen;
            self.headers[index] = mmsghdr {
                msg_hdr: header,
                msg_len: 0,
            };
        }
        // SAFETY: each header points to one buffer, one name and one control of `self`, all of the lengths given and none
        // shared with another header; they are not touched until the call returns. No timeout is passed.
        let received = unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut::<libc::timespec>(),
            )
        };
        match usize::try_from(received) {
            Ok(received) => {
                self.received = received;
                Ok(received)
            }
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                error => Err(error),
            },
        }
    }

    /// What the last [`Receiver::receive`] brought.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        (0..self.received).map(|index| {
            let header = &self.headers[index];
            let length = (header.msg_len as usize).min(self.buffer_len);
            let start = index * self.buffer_len;
            let mut received = Received {
                bytes: &self.buffers[start..start + length],
                source: ip_of(&self.names[index]),
                destination: None,
                hop_limit: None,
                outgoing: is_outgoing(&self.names[index]),
            };
            read_control(&header.msg_hdr, &self.controls[index], &mut received);
            received
        })
    }
}

impl core::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Receiver")
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

fn last<T>(vector: &mut [T]) -> *mut T {
    vector
        .last_mut()
        .map_or(std::ptr::null_mut(), |last| &raw mut *last)
}

/// The address as the kernel takes it, and its length.
fn socket_address(address: IpAddr) -> (sockaddr_storage, libc::socklen_t) {
    // SAFETY: plain data, for which all zeros is a valid value.
    let mut storage: sockaddr_storage = unsafe { mem::zeroed() };
    let length = match address {
        IpAddr::V4(address) => {
            // SAFETY: a `sockaddr_storage` is large enough and aligned for every socket address.
            let name = unsafe { &mut *(&raw mut storage).cast::<sockaddr_in>() };
            name.sin_family = libc::AF_INET as libc::sa_family_t;
            name.sin_addr.s_addr = u32::from(address).to_be();
            mem::size_of::<sockaddr_in>()
        }
        IpAddr::V6(address) => {
            // SAFETY: as above.
            let name = unsafe { &mut *(&raw mut storage).cast::<sockaddr_in6>() };
            name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            name.sin6_addr.s6_addr = address.octets();
            mem::size_of::<sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}

/// Writes the packet-info that makes `source` the source address into the header's control buffer; its length.
fn write_source(header: &msghdr, source: IpAddr) -> usize {
    // SAFETY: the header's control buffer has CONTROL_LEN bytes, enough for a header and either packet-info, is aligned
    // for both, and was zeroed. The payload is written as bytes at the place that the kernel's macros give.
    unsafe {
        let control: *mut cmsghdr = libc::CMSG_FIRSTHDR(header);
        match source {
            IpAddr::V4(source) => {
                let info = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from(source).to_be(),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                write_control(control, libc::IPPROTO_IP, libc::IP_PKTINFO, &info)
            }
            IpAddr::V6(source) => {
                let info = in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: source.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                write_control(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
            }
        }
    }
}

/// # Safety
/// `control` must point to a zeroed, aligned buffer with room for a header and a `T`.
unsafe fn write_control<T: Copy>(control: *mut cmsghdr, level: i32, kind: i32, payload: &T) -> usize {
    let length = mem::size_of::<T>() as libc::c_uint;
    // SAFETY: by this function's contract.
    unsafe {
        (*control).cmsg_level = level;
        (*control).cmsg_type = kind;
        (*control).cmsg_len = libc::CMSG_LEN(length) as ControlLen;
        libc::CMSG_DATA(control).cast::<T>().write_unaligned(*payload);
        libc::CMSG_SPACE(length) as usize
    }
}

fn ip_of(name: &sockaddr_storage) -> Option<IpAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds this type.
            let name = unsafe { &*(&raw const *name).cast::<sockaddr_in>() };
            Some(Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let name = unsafe { &*(&raw const *name).cast::<sockaddr_in6>() };
            Some(Ipv6Addr::from(name.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

fn is_outgoing(name: &sockaddr_storage) -> bool {
    if i32::from(name.ss_family) != libc::AF_PACKET {
        return false;
    }
    // SAFETY: the family says that the storage holds this type.
    let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_ll>() };
    name.sll_pkttype == libc::PACKET_OUTGOING
}

/// Reads the destination and the hop limit out of what the kernel wrote.
fn read_control(header: &msghdr, _owner: &Control, received: &mut Received<'_>) {
    // SAFETY: the header's control pointer and length are those of `_owner`, as the kernel filled it; the macros stay
    // within that length, and each payload is read only if its length says that it is there.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            let payload_len = ((*control).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            let data: *const c_void = libc::CMSG_DATA(control).cast();
            match ((*control).cmsg_level, (*control).cmsg_type) {
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if payload_len >= mem::size_of::<in6_pktinfo>() => {
                    let info = data.cast::<in6_pktinfo>().read_unaligned();
                    received.destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) if payload_len >= mem::size_of::<libc::c_int>() => {
                    received.hop_limit = u8::try_from(data.cast::<libc::c_int>().read_unaligned()).ok();
                }
                _ => {}
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
}
