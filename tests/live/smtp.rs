//! The SMTP client of the suite (RFC 5321, RFC 4954, Postfix XCLIENT_README): one command, one
//! reply, over TCP or through `openssl s_client` with a certificate.

use crate::door::{Door, Port};
use crate::process::{DEADLINE, program};
use crate::reply::Reply;
use socket2::{Domain, Socket, Type};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What a reply after the content is to.
pub const END_OF_MESSAGE: &str = ".";

pub struct Session {
    lines: Receiver<String>,
    out: Box<dyn Write + Send>,
    end: End,
    door: Door,
}

enum End {
    Plain(TcpStream),
    Program(Child),
}

impl Session {
    /// Connects and greets.
    pub fn open(port: Port) -> Session {
        Session::open_from("127.0.0.1", port)
    }

    /// As another client: from any address of 127.0.0.0/8, or from ::1 to the server's ::1.
    pub fn open_from(client: &str, port: Port) -> Session {
        let client: IpAddr = client.parse().expect("a client has an address");
        let server: IpAddr = match client {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let server = SocketAddr::new(server, port.number);
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None);
        let socket = socket.expect("a socket can be made");
        socket.bind(&SocketAddr::new(client, 0).into()).expect("the client's address is loopback");
        socket.connect(&server.into()).expect("the mail server listens");
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).expect("a socket takes options");
        let double = || stream.try_clone().expect("a socket can be doubled");
        let (lines, out) = (lines_of(double()), Box::new(double()));
        let mut session = Session { lines, out, end: End::Plain(stream), door: port.door };
        session.banner();
        session.ehlo();
        session
    }

    /// STARTTLS with the client certificate in `folder`, if one is named, then greets again.
    pub fn open_tls(port: Port, folder: &Path, certificate: Option<&str>) -> Session {
        let mut command = Command::new(program("openssl", "openssl"));
        // -quiet also keeps lines that start with R or Q from being commands of s_client.
        command.args(["s_client", "-starttls", "smtp", "-quiet", "-verify_return_error"]);
        command.arg("-connect").arg(format!("127.0.0.1:{}", port.number));
        command.arg("-CAfile").arg(folder.join("ca.pem"));
        if let Some(name) = certificate {
            command.arg("-cert").arg(folder.join(format!("{name}.pem")));
            command.arg("-key").arg(folder.join(format!("{name}.key")));
        }
        let mut session = Session::over(&mut command, port.door);
        session.ehlo();
        session
    }

    /// As `open_tls`, in a session that has already said these commands without TLS.
    pub fn open_tls_after(
        commands: &[&str],
        port: Port,
        folder: &Path,
        certificate: Option<&str>,
    ) -> Session {
        let mut server = TcpStream::connect(("127.0.0.1", port.number)).expect("Postfix listens");
        let answers = server.try_clone().expect("a socket can be doubled");
        let mut lines = BufReader::new(answers).lines().map(|line| line.expect("Postfix answers"));
        let mut reply =
            || lines.find(|line| line.as_bytes().get(3) != Some(&b'-')).expect("Postfix answers");
        reply();
        for command in commands {
            write!(server, "{command}\r\n").expect("the session takes a command");
            let reply = reply();
            assert!(reply.starts_with('2'), "{command}: {reply}");
        }
        let relay = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let number = relay.local_addr().expect("a listener has an address").port();
        thread::spawn(move || relay_tls(&relay, server));
        Session::open_tls(Port { number, ..port }, folder, certificate)
    }

    /// With a program that speaks SMTP on its standard input and output; no banner is waited for.
    pub fn over(command: &mut Command, door: Door) -> Session {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = lines_of(child.stdout.take().expect("a pipe was asked for"));
        let out = Box::new(child.stdin.take().expect("a pipe was asked for"));
        Session { lines, out, end: End::Program(child), door }
    }

    /// Connects as another client, by Postfix's XCLIENT, e.g. `ADDR=192.0.2.5 NAME=a.example`.
    pub fn open_as(port: Port, attributes: &str) -> Session {
        let mut session = Session::open(port);
        session.xclient(attributes);
        session
    }

    pub fn banner(&mut self) {
        let banner = self.reply_to("");
        assert_eq!(banner.code, 220, "the banner: {banner}");
    }

    pub fn ehlo(&mut self) -> Reply {
        let reply = self.command("EHLO client.example.net");
        reply.assert_ok();
        reply
    }

    /// Postfix starts the session over, so this greets again.
    pub fn xclient(&mut self, attributes: &str) {
        let reply = self.command(&format!("XCLIENT {attributes}"));
        assert_eq!(reply.code, 220, "XCLIENT: {reply}");
        self.ehlo();
    }

    /// AUTH PLAIN (RFC 4616) with the password every login of the lab has.
    pub fn login(mut self, login: &str) -> Session {
        let reply = self.command(&format!("AUTH PLAIN {}", plain(login)));
        assert_eq!(reply.code, 235, "AUTH: {reply}");
        self
    }

    pub fn mail(&mut self, sender: &str) -> Reply {
        self.command(&format!("MAIL FROM:<{sender}>"))
    }

    pub fn rcpt(&mut self, recipient: &str) -> Reply {
        self.command(&format!("RCPT TO:<{recipient}>"))
    }

    /// DATA with a message that carries the marker; the reply to DATA itself if that is no 354.
    pub fn data(&mut self, marker: &str) -> Reply {
        let go_on = self.command("DATA");
        if go_on.code != 354 {
            return go_on;
        }
        self.write(&format!("Subject: {marker}\r\n\r\nThe body of {marker}.\r\n.\r\n"));
        self.reply_to(END_OF_MESSAGE)
    }

    /// One whole message; the first refusal, or the reply to the message. Ends with RSET.
    pub fn send(&mut self, sender: &str, recipient: &str, marker: &str) -> Reply {
        let mut reply = self.mail(sender);
        if reply.is_ok() {
            reply = self.rcpt(recipient);
        }
        if reply.is_ok() {
            reply = self.data(marker);
        }
        self.rset().assert_ok();
        reply
    }

    pub fn rset(&mut self) -> Reply {
        self.command("RSET")
    }

    pub fn quit(mut self) {
        let reply = self.command("QUIT");
        assert_eq!(reply.code, 221, "QUIT: {reply}");
    }

    pub fn command(&mut self, line: &str) -> Reply {
        self.write(&format!("{line}\r\n"));
        self.reply_to(line.split([' ', ':']).next().unwrap_or(""))
    }

    /// Without waiting for a reply, or for each `reply_to`.
    pub fn write(&mut self, text: &str) {
        self.out.write_all(text.as_bytes()).expect("the session takes a command");
        self.out.flush().expect("the session takes a command");
    }

    /// The next reply, which is to this command.
    pub fn reply_to(&mut self, to: &str) -> Reply {
        let mut raw = Vec::new();
        loop {
            let line = self.lines.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|error| panic!("no reply: {error}; so far {raw:?}"));
            let more = line.as_bytes().get(3) == Some(&b'-');
            raw.push(line);
            if !more {
                return Reply::parse(self.door, to, &raw);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match &mut self.end {
            End::Plain(stream) => {
                stream.shutdown(Shutdown::Both).ok();
            }
            End::Program(child) => {
                child.kill().ok();
                child.wait().ok();
            }
        }
    }
}

/// The initial response of AUTH PLAIN (RFC 4616).
pub fn plain(login: &str) -> String {
    base64(format!("\0{login}\0{}", crate::dovecot::password(login)).as_bytes())
}

/// Greets one client until it is about to say STARTTLS, then carries bytes.
fn relay_tls(relay: &TcpListener, server: TcpStream) -> io::Result<()> {
    let (mut client, _) = relay.accept()?;
    client.write_all(b"220 relay\r\n")?;
    BufReader::with_capacity(1, client.try_clone()?).read_line(&mut String::new())?;
    client.write_all(b"250-relay\r\n250 STARTTLS\r\n")?;
    let (mut to_server, mut from_server) = (server.try_clone()?, server);
    let mut from_client = client.try_clone()?;
    thread::spawn(move || {
        io::copy(&mut from_client, &mut to_server).ok();
        to_server.shutdown(Shutdown::Both).ok();
    });
    io::copy(&mut from_server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// Lines as they come, without their ends, so that a wait for one can have a deadline.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (give, take) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if give.send(line.trim_end_matches('\r').to_owned()).is_err() {
                return;
            }
        }
    });
    take
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place)) & 63;
            text.push(if place > three.len() { '=' } else { ALPHABET[sextet as usize] as char });
        }
    }
    text
}
