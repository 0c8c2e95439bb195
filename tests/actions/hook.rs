//! An HTTP server that takes calls of webhooks, and answers as it is told to.

use crate::process::until;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Answers(&'static str),
    /// Two answers to one call.
    AnswersTwice,
    /// Reads the call, and keeps the connection.
    Hangs,
    /// Closes the connection at once.
    Refuses,
}

pub const OK: Manner = Manner::Answers("204 No Content");
pub const FAILS: Manner = Manner::Answers("500 Internal Server Error");

#[derive(Clone, Debug)]
pub struct Call {
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub path: String,
    pub body: String,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub fn id(&self) -> String {
        self.header("webhook-id").to_string()
    }
}

#[derive(Clone)]
pub struct Hook {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    manner: Manner,
    calls: Vec<Call>,
    held: Vec<TcpStream>,
}

impl Hook {
    pub fn open(manner: Manner) -> Hook {
        Hook::open_by(manner, None)
    }

    /// By TLS, and answers well.
    pub fn open_tls(config: Arc<ServerConfig>) -> Hook {
        Hook::open_by(OK, Some(config))
    }

    fn open_by(manner: Manner, tls: Option<Arc<ServerConfig>>) -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State { manner, calls: Vec::new(), held: Vec::new() }));
        let hook = Hook { port, state };
        let serving = hook.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serving, tls) = (serving.clone(), tls.clone());
                thread::spawn(move || match tls {
                    None => serving.serve(&stream, &stream),
                    Some(config) => {
                        let session = ServerConnection::new(config).ok()?;
                        let mut secure = StreamOwned::new(session, stream.try_clone().ok()?);
                        serving.serve(&stream, &mut secure)
                    }
                });
            }
        });
        hook
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// From now on; whoever hangs is let go.
    pub fn set(&self, manner: Manner) {
        let mut state = self.state.lock().expect("whole");
        state.manner = manner;
        state.held.clear();
    }

    /// The ids called so far, in order.
    pub fn ids(&self) -> Vec<String> {
        self.calls().iter().map(Call::id).collect()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().expect("whole").calls.clone()
    }

    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Call> {
        until(&format!("{count} calls come"), || {
            Some(self.calls()).filter(|all| all.len() >= count)
        })
    }

    fn serve(&self, socket: &TcpStream, mut stream: impl Read + Write) -> Option<()> {
        if self.state.lock().expect("whole").manner == Manner::Refuses {
            return None;
        }
        let call = read(&mut stream)?;
        let manner = {
            let mut state = self.state.lock().expect("whole");
            state.calls.push(call);
            if state.manner == Manner::Hangs {
                state.held.push(socket.try_clone().ok()?);
            }
            state.manner
        };
        match manner {
            Manner::Answers(status) => answer(&mut stream, status),
            Manner::AnswersTwice => {
                answer(&mut stream, "200 OK")?;
                answer(&mut stream, "500 Internal Server Error")
            }
            Manner::Hangs | Manner::Refuses => Some(()),
        }
    }
}

fn answer(stream: &mut impl Write, status: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status}\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.flush().ok()
}

fn read(stream: impl Read) -> Option<Call> {
    let mut from = BufReader::new(stream);
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_string();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_string()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some(Call { headers, path, body: String::from_utf8(body).ok()? })
}
