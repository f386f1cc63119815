//! Servers that nobody should have to talk to, and networks that swallow what is said.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    thread,
};

use holdfast_e2e::{Result, pair::Scene};
use holdfast_lab::{Node, command};
use nix::mount::{MsFlags, mount};

use crate::SECOND;

/// Has a server answer each connection to a port of the node until the case ends.
pub fn serve(node: &Node, port: u16, answer: fn(TcpStream) -> io::Result<()>) {
    let mut listener = None;
    node.netns()
        .run(|| {
            listener = Some(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
            Ok(())
        })
        .unwrap();
    let listener = listener.unwrap().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away ends it.
            thread::spawn(move || drop(answer(stream)));
        }
    });
}

/// The request is read: a socket that is closed with something unread in it breaks off what is still on its way.
fn asked(mut stream: TcpStream, head: &str) -> io::Result<TcpStream> {
    let _ = stream.read(&mut [0; 4096])?;
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

/// A byte of the body each second.
pub fn drip(stream: TcpStream) -> io::Result<()> {
    let mut stream = asked(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
    loop {
        stream.write_all(b"x")?;
        thread::sleep(SECOND);
    }
}

/// A byte of the header each second.
pub fn drip_header(stream: TcpStream) -> io::Result<()> {
    let mut stream = asked(stream, "HTTP/1.1 200 OK\r\n")?;
    loop {
        stream.write_all(b"x")?;
        thread::sleep(SECOND);
    }
}

/// A body without an end.
pub fn endless_body(stream: TcpStream) -> io::Result<()> {
    let mut stream = asked(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
    loop {
        stream.write_all(&[b'x'; 8 << 10])?;
    }
}

/// A header without an end.
pub fn endless_header(stream: TcpStream) -> io::Result<()> {
    let mut stream = asked(stream, "HTTP/1.1 200 OK\r\nX-Long: ")?;
    loop {
        stream.write_all(&[b'x'; 8 << 10])?;
    }
}

/// The word to go on, again and again, which is an answer of its own kind each time.
pub fn endless_continue(stream: TcpStream) -> io::Result<()> {
    let mut stream = asked(stream, "")?;
    loop {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
}

/// Has every program of the sandbox ask the node itself for names, where queries are taken and never answered.
///
/// The sandbox has its own mounts, so that the machine's own file is only covered for this case.
pub fn deaf_resolver(scene: &Scene) {
    let file = scene.lab.folder().join("resolv.conf");
    fs::write(&file, "nameserver 127.0.0.1\n").unwrap();
    let place = Path::new("/etc/resolv.conf");
    if fs::metadata(place).is_err() {
        // A link into /run, which is empty in a sandbox, and the sandbox's own.
        let target = Path::new("/etc").join(fs::read_link(place).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, "").unwrap();
    }
    mount(Some(&file), place, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    for node in [&scene.a, &scene.b] {
        let mut socket = None;
        node.netns()
            .run(|| {
                socket = Some(UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)));
                Ok(())
            })
            .unwrap();
        let socket = socket.unwrap().unwrap();
        thread::spawn(move || while socket.recv(&mut [0; 512]).is_ok() {});
    }
}

/// Has the node drop every packet to a port of its own, as a firewall does.
pub fn drop_packets_to(node: &Node, port: u16) -> Result<()> {
    let rules = format!(
        "add table inet hostile; add chain inet hostile in {{ type filter hook input priority 0; }}; \
         add rule inet hostile in tcp dport {port} drop"
    );
    node.netns().run(|| command::run("nft", &[&rules]).map(drop))?;
    Ok(())
}
